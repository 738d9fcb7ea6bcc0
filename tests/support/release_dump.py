"""Makes the dump of a release that later releases must be able to upgrade.

    python -m tests.support.release_dump tests/data/release_0.1.plain.sql.gz

Run it once, when the release is made, and never again: a dump that is made anew by later code proves
nothing about the databases that people have.
"""

import asyncio
import gzip
import sys
from datetime import date
from pathlib import Path
from typing import Final

from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.time_range import session_label_us
from marketdata.domain.timeframe import Timeframe
from tests.support.bars import SAMPLE_FEED, Bar, frame_of, series
from tests.support.databases import Databases, running_server
from tests.support.dumps import dump_database
from tests.support.storage import Storage, opened_storage
from tests.support.symbols import create_renamed, create_symbols

RENAMED: Final = date(2022, 6, 9)
RENAMED_US: Final = session_label_us(RENAMED)
ACTIONS: Final = (
    CorporateAction(CorporateActionKind.SPLIT, date(2005, 2, 28), split_ratio=2.0, source="notes"),
    CorporateAction(CorporateActionKind.CASH_DIVIDEND, date(2012, 8, 9), cash_amount=2.65),
)
# Around the rename, over bounds of partitions, with missing numbers and another feed.
SERIES: Final = {
    Timeframe.DAY_1: [
        *series("AAPL", Timeframe.DAY_1, RENAMED_US - 40 * 86_400_000_000, 80),
        *series("FB", Timeframe.DAY_1, RENAMED_US - 5 * 86_400_000_000, 5),
        *series("META", Timeframe.DAY_1, RENAMED_US, 5),
    ],
    Timeframe.HOUR_1: [
        bar._replace(volume=None, feed=SAMPLE_FEED)
        for bar in series("AAPL", Timeframe.HOUR_1, RENAMED_US, 10)
    ],
    Timeframe.MINUTE_1: series("AAPL", Timeframe.MINUTE_1, RENAMED_US - 600_000_000, 20),
}
# Of every timeframe, so that each table has a revision.
REVISED: Final = {timeframe: bars[3]._replace(close=10.25) for timeframe, bars in SERIES.items()}


def expected_bars(timeframe: Timeframe) -> list[Bar]:
    """List what a table of the dump holds, by symbol and time."""
    revised = REVISED[timeframe]
    bars = [
        revised._replace(revision=1) if bar.key == revised.key else bar for bar in SERIES[timeframe]
    ]
    return sorted(bars, key=lambda bar: bar.key)


async def fill(storage: Storage) -> None:
    """Store some rows of every kind."""
    await create_symbols(storage, "AAPL")
    await create_renamed(storage, [("FB", None, RENAMED), ("META", RENAMED, None)], name="Meta")
    await storage.actions.add("AAPL", ACTIONS)
    for timeframe, bars in SERIES.items():
        await storage.writer.commit_bars(frame_of(bars), timeframe)
        await storage.writer.commit_bars(frame_of([REVISED[timeframe]]), timeframe)


async def make_dump() -> str:
    """Fill a new database and dump it."""
    with running_server() as server:
        database = await Databases(server).migrated()
        async with opened_storage(lambda: database) as storage:
            await fill(storage)
        return dump_database(database)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    if target.exists():
        sys.exit(f"{target} exists; the dump of a release is never made anew")
    # Without a time of day in the file the same dump is the same bytes.
    target.write_bytes(gzip.compress(asyncio.run(make_dump()).encode(), mtime=0))
