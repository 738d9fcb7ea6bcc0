"""as_of_vs_plain: what it costs to ask what was known at an earlier point in time.

Both sides read a year of one symbol's minutes, 252 sessions, as StreamBars reads: to `BarFrame`s, in
one snapshot. The peer asks for what is known now.

Cases: `unrevised`, nothing was superseded since the point that ours asks about; `one in a hundred
revised`, every hundredth bar was since, in one write, so that ours takes these from the versions that
were kept.
"""

import time
from dataclasses import replace
from typing import Final

import numpy as np

from marketdata.domain.as_of import AsOf
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe
from tests.benchmarks.sampling import Line, rate_line, take_turns
from tests.benchmarks.setting import Setting, Storage, create_symbols, opened_storage
from tests.benchmarks.synthetic import MINUTE_BARS, minute_bars, range_of, renamed
from tests.support.databases import connected

NAME: Final = "as_of_vs_plain"
# At most 1.3 and twice the time of a plain read.
UNREVISED_FLOOR: Final = 1 / 1.3
REVISED_FLOOR: Final = 1 / 2

_BARS: Final = 2 * MINUTE_BARS
_SYMBOL: Final = "S000"
_READS_A_SAMPLE: Final = 2
_MINUTE: Final = Timeframe.MINUTE_1


async def run(setting: Setting) -> list[Line]:
    """Measure a year without revisions, and then with some."""
    database = await setting.databases.migrated()
    bars = renamed(minute_bars("X", _BARS), _SYMBOL)
    async with opened_storage(database) as storage:
        await create_symbols(storage.symbols, [_SYMBOL])
        seq = (await storage.writer.commit_bars(bars, _MINUTE)).seq
        # Something later, elsewhere: the point in time is not the newest.
        await storage.writer.commit_bars(renamed(minute_bars("X", 1), "S001"), _MINUTE)
        with connected(database) as connection:
            connection.execute("VACUUM (ANALYZE)")
        unrevised = await _measure(storage, setting.rounds, seq, "unrevised", UNREVISED_FLOOR)
        hundredth = bars.take(np.arange(0, _BARS, 100))
        revised = replace(hundredth, volume=hundredth.volume + 1)
        assert (await storage.writer.commit_bars(revised, _MINUTE)).revised == len(revised)
        with connected(database) as connection:
            connection.execute("VACUUM (ANALYZE)")
        case = "one in a hundred revised"
        return [unrevised, await _measure(storage, setting.rounds, seq, case, REVISED_FLOOR)]


async def _measure(storage: Storage, rounds: int, seq: int, case: str, floor: float) -> Line:
    plain = BarQuery((_SYMBOL,), _MINUTE, range_of(minute_bars(_SYMBOL, _BARS), _MINUTE))
    as_of = replace(plain, as_of=AsOf(seq=seq))

    async def ours(_: int) -> float:
        return await _read(storage, as_of)

    async def peer(_: int) -> float:
        return await _read(storage, plain)

    samples = await take_turns(rounds, {"ours": ours, "peer": peer})
    amount = _BARS * _READS_A_SAMPLE
    return rate_line(NAME, case, "bars/s", amount, samples["ours"], samples["peer"], floor)


async def _read(storage: Storage, query: BarQuery) -> float:
    started = time.perf_counter()
    for _ in range(_READS_A_SAMPLE):
        async with storage.reader.snapshot(query) as snapshot:
            frames = [frame async for frame in snapshot.blocks(_as_it_is)]
    seconds = time.perf_counter() - started
    assert sum(map(len, frames)) == _BARS
    return seconds


def _as_it_is(frame: BarFrame) -> BarFrame:
    return frame
