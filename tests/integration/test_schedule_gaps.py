"""Gaps that the first provider of a target answered without bars: the others are asked, each once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np
import pytest

from marketdata.domain.bars import BarFrame
from marketdata.domain.ingestion_run import IngestionMode, IngestionRun, RunState
from marketdata.domain.time_range import TimeRange
from marketdata.ingestion.gap_search import GapSearch
from marketdata.ingestion.scheduler import Scheduler
from marketdata.storage.coverage import CoverageReader
from marketdata.storage.deleted_bars import DeletedBars
from marketdata.storage.deletion import BarDeleter
from marketdata.storage.ingestion.slots import SlotReader
from tests.support.ingesting import Ingesting, days, executing, ingesting
from tests.support.rows import fetch
from tests.support.scheduling import DAY, Targets, at, target
from tests.support.scripted_provider import ScriptedProvider, SomeProviders
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

pytestmark = pytest.mark.modes("plain", "apache", reason="needs connections of its own")

START: Final = date(2023, 1, 3)
NIGHT: Final = "2024-07-01 06:00"
NEXT_NIGHT: Final = "2024-07-02 06:00"
SLOT: Final = "slot/1/repair/1d/2024-07-01T05:00:00Z"


@dataclass
class Repairing:
    """A scheduler that searches for gaps, of providers in order."""

    storage: Storage
    one: Ingesting
    scheduler: Scheduler
    seconds: list[float]

    async def night(self, now: str) -> list[IngestionRun]:
        """Look until nothing is left to do; return the runs of the job REPAIR, all over."""
        self.one.clock.advance((at(now) - self.one.clock.now_us()) / 1e6)
        found: list[IngestionRun] = []
        async with executing(self.one):
            for _ in range(8):
                found += [await self.one.over(run) for run in await self.scheduler.look()]
        return [run for run in found if "/repair/" in run.request.request_id]


def repairing(
    storage: Storage, providers: Iterable[ScriptedProvider], symbols: Sequence[str], step: float = 0.0
) -> Repairing:
    """Put a process together, for which each look at its watch takes some seconds."""
    own = list(providers)
    one = ingesting(storage, own[0], at(NIGHT), SomeProviders(*own))
    wanted = target(
        *symbols, timeframes=(DAY,), providers=tuple(p.name for p in own), history_start=START
    )
    seconds = [0.0]

    def elapsed() -> float:
        seconds[0] += step
        return seconds[0]

    runs, starter = one.ingestion.runs, one.ingestion.starter
    gaps = GapSearch(
        CoverageReader(storage.reader), DeletedBars(storage.pools), runs, starter, one.clock, elapsed
    )
    listed = Targets([wanted]).list_all
    slots = SlotReader(storage.pools)
    return Repairing(
        storage, one, Scheduler(listed, slots, runs, starter, one.clock, None, gaps), seconds
    )


def provider(name: str, frames: Mapping[str, BarFrame]) -> ScriptedProvider:
    """Make one that has days."""
    feeds = {"yahoo": "yahoo/chart", "alpaca": "alpaca/iex", "tiingo": "tiingo/iex"}
    bars = {(symbol, DAY): frame for symbol, frame in frames.items()}
    return ScriptedProvider(bars, name=name, feed=feeds[name])


def whole(symbol: str) -> BarFrame:
    """Make every day of the target's history, and some to come."""
    return days(symbol, START.isoformat(), "2024-07-06", ord(symbol))


def without(frame: BarFrame, start: str, end: str) -> BarFrame:
    """Leave days out."""
    left = (frame.time_us < at(f"{start} 00:00")) | (frame.time_us >= at(f"{end} 00:00"))
    return frame.take(np.flatnonzero(left))


def less(frame: BarFrame) -> BarFrame:
    """Give the days as another provider has them."""
    return replace(frame, volume=frame.volume / 50)


async def stored_of(storage: Storage, symbol: str) -> dict[str, int]:
    """Count stored days by provider."""
    rows = await fetch(
        storage,
        "SELECT provider, count(*) FROM market_stock_hist_bars_day_ts AS bar"
        "  JOIN market_feed AS own ON bar.feed = own.feed_id WHERE symbol = %s GROUP BY 1",
        [symbol],
    )
    return dict(rows)


def asked(provider: ScriptedProvider) -> list[tuple[str, int, int]]:
    """List what a provider was asked."""
    return [(r.symbol.symbol, r.range.start_us, r.range.end_us) for r in provider.requests]


async def test_repair_given_days_that_the_first_lacks_asks_the_next_for_them_alone(
    storage: Storage,
) -> None:
    """It answered and had none: nobody asks it again, and the next one fills exactly the gap."""
    await create_symbols(storage, "A", "B")
    yahoo = provider("yahoo", {"A": without(whole("A"), "2023-08-07", "2023-08-12"), "B": whole("B")})
    alpaca = provider("alpaca", {symbol: less(whole(symbol)) for symbol in "AB"})
    one = repairing(storage, (yahoo, alpaca), ("A", "B"))
    first, second = await one.night(NIGHT)
    assert (first.request.request_id, first.request.provider) == (SLOT, "yahoo")
    assert second.request.request_id.startswith(f"{SLOT}/gaps/alpaca/")
    assert (second.request.mode, second.state) == (IngestionMode.BACKFILL, RunState.SUCCEEDED)
    assert asked(alpaca) == [("A", at("2023-08-07 00:00"), at("2023-08-12 00:00"))]
    assert (second.counts.accepted, second.counts.outranked) == (5, 0)
    ended = int(np.sum(whole("B").time_us < at("2024-07-01 00:00")))
    assert await stored_of(storage, "A") == {"alpaca": 5, "yahoo": ended - 5}
    assert await stored_of(storage, "B") == {"yahoo": ended}
    assert [run.request.provider for run in await one.night(NEXT_NIGHT)] == ["yahoo"]
    assert len(alpaca.requests) == 1


async def test_repair_given_a_gap_that_nobody_fills_asks_each_other_once(storage: Storage) -> None:
    """The third one the night after the second, then nobody: what they answered is remembered."""
    await create_symbols(storage, "A")
    own = without(whole("A"), "2023-08-07", "2023-08-12")
    yahoo, alpaca, tiingo = (
        provider(name, {"A": own if name == "yahoo" else less(own)})
        for name in ("yahoo", "alpaca", "tiingo")
    )
    one = repairing(storage, (yahoo, alpaca, tiingo), ("A",))
    gap = ("A", at("2023-08-07 00:00"), at("2023-08-12 00:00"))
    await one.night(NIGHT)
    assert (asked(alpaca), asked(tiingo)) == ([gap], [])
    await one.night(NEXT_NIGHT)
    assert (asked(alpaca), asked(tiingo)) == ([gap], [gap])
    await one.night("2024-07-03 06:00")
    assert (asked(alpaca), asked(tiingo)) == ([gap], [gap])


async def test_repair_given_days_that_were_deleted_leaves_them_out(storage: Storage) -> None:
    """What a person has deleted does not come back from somebody else; a gap beside it is filled."""
    await create_symbols(storage, "A")
    yahoo = provider("yahoo", {"A": without(whole("A"), "2023-08-09", "2023-08-12")})
    alpaca = provider("alpaca", {"A": less(whole("A"))})
    one = repairing(storage, (yahoo,), ("A",))
    await one.night(NIGHT)
    for start, end in (("2023-08-01", "2023-08-03"), ("2023-08-15", "2023-08-16")):
        within = TimeRange(at(f"{start} 00:00"), at(f"{end} 00:00"))
        await BarDeleter(storage.pools).delete("A", DAY, within, "wrong")
    await repairing(storage, (yahoo, alpaca), ("A",)).night(NEXT_NIGHT)
    assert asked(alpaca) == [("A", at("2023-08-09 00:00"), at("2023-08-12 00:00"))]
    assert (await stored_of(storage, "A"))["alpaca"] == 3


async def test_repair_given_many_symbols_searches_some_at_a_look(storage: Storage) -> None:
    """Other targets wait for a look: it ends after two seconds, and the next one goes on there."""
    symbols = "ABCDE"
    await create_symbols(storage, *symbols)
    gone = {symbol: without(whole(symbol), "2023-08-07", "2023-08-12") for symbol in symbols}
    yahoo = provider("yahoo", gone)
    alpaca = provider("alpaca", {symbol: less(whole(symbol)) for symbol in symbols})
    one = repairing(storage, (yahoo, alpaca), symbols, step=1.0)
    runs = await one.night(NIGHT)
    assert [run.request.symbols for run in runs] == [
        tuple(symbols), ("A", "B"), ("C", "D"), ("E",),
    ]  # fmt: skip
    assert {await _gap_days(storage, symbol) for symbol in symbols} == {5}


async def _gap_days(storage: Storage, symbol: str) -> int:
    return (await stored_of(storage, symbol))["alpaca"]
