"""The year: what people do in it, and what they want kept current."""

from datetime import date
from typing import Final

from marketdata.clock import ManualClock
from marketdata.domain.ingestion_target import NewIngestionTarget
from marketdata.domain.symbol import NewSymbol, SymbolUpdate
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.coverage import CoverageReader
from marketdata.storage.ingestion.targets import TargetStore
from tests.support.ingesting import head
from tests.support.providers.faults import never
from tests.support.providers.played import loopback
from tests.support.rows import fetch
from tests.support.storage import Storage
from tests.support.year.process import MINUTES_EVERY_US
from tests.support.year.sessions import (
    DAY_US,
    HOUR_US,
    actions_slots,
    daily_slots,
    minute_slots,
    repair_slots,
    utc,
)
from tests.support.year.side import Side, alpaca_dialect, make_alpaca
from tests.support.year.truth import (
    BEGIN,
    END,
    HISTORY_START,
    LONDON,
    MINUTE_WINDOWS,
    NEW_NAME,
    NEW_YORK,
    OLD_NAME,
    OUTAGES,
    RENAMED,
    WITH_MINUTES,
    year,
)
from tests.support.year.walk import Happening, Walk, create_target, go_down, start_anew

#: The service is down in between; and it is started anew on the first of each month.
DOWN: Final = ("2024-04-20 12:00", "2024-04-24 12:00")
_RESTARTS: Final = tuple(f"2024-{month:02}-01 12:00" for month in range(2, 13))


async def simulate(storage: Storage) -> Walk:
    """Live through the year."""
    clock = ManualClock(utc(BEGIN))
    side = Side(year().bars, OUTAGES, clock, alpaca_dialect)
    async with loopback(side, never) as server:
        walk = Walk(storage, clock, lambda around: [make_alpaca(around, server.address)])
        await walk.through(happenings(), END)
    return walk


def happenings() -> list[tuple[int, Happening]]:
    """List what people do in the year, by time."""
    found: list[tuple[int, Happening]] = [
        (utc(BEGIN), begin),
        (utc(DOWN[0]), go_down),
        (utc(DOWN[1]), start_anew),
        (utc(RENAMED) - 2 * HOUR_US, rename),
        (utc(OUTAGES[2][0]) + 12 * HOUR_US, look_at_gaps),
        *((utc(time), start_anew) for time in _RESTARTS),
    ]
    for start, end in MINUTE_WINDOWS:
        found += [(utc(start), want_minutes), (utc(end) + 6 * HOUR_US, want_no_minutes)]
    return sorted(found, key=lambda item: item[0])


async def begin(walk: Walk) -> None:
    """Create symbols and what is to be kept current of their days."""
    for symbol in NEW_YORK:
        await walk.storage.symbols.create(NewSymbol(symbol))
    for symbol in LONDON:
        await walk.storage.symbols.create(
            NewSymbol(symbol, venue="XLON", calendar="XLON", time_zone="Europe/London", currency="GBP")
        )
    start = date.fromisoformat(HISTORY_START)
    for name, symbols, calendar in (("new-york", NEW_YORK, "XNYS"), ("london", LONDON, "XLON")):
        target = NewIngestionTarget(name, symbols, (Timeframe.DAY_1,), ("alpaca",), start)
        number = await create_target(walk, target)
        walk.slots.want(f"slot/{number}/daily/1d/", daily_slots(calendar), walk.clock.now_us())
        walk.slots.want(f"slot/{number}/repair/1d/", repair_slots(), walk.clock.now_us())
        walk.slots.want(f"slot/{number}/actions/", actions_slots(), walk.clock.now_us())


async def want_minutes(walk: Walk) -> None:
    """Begin to keep minutes current."""
    target = NewIngestionTarget("minutes", WITH_MINUTES, (Timeframe.MINUTE_1,), ("alpaca",))
    number = await create_target(walk, target)
    due_us = minute_slots(MINUTES_EVERY_US)
    walk.slots.want(f"slot/{number}/minutes/1m/", due_us, walk.clock.now_us())
    walk.slots.want(f"slot/{number}/daily/1m/", daily_slots("XNYS"), walk.clock.now_us())
    walk.slots.want(f"slot/{number}/actions/", actions_slots(), walk.clock.now_us())


async def want_no_minutes(walk: Walk) -> None:
    """End it."""
    (row,) = await fetch(walk.storage, "SELECT target_id FROM ingestion_target WHERE name = 'minutes'")
    await TargetStore(walk.storage.pools).delete("minutes")
    for series in ("minutes/1m", "daily/1m", "actions"):
        walk.slots.forget(f"slot/{row[0]}/{series}/")


async def rename(walk: Walk) -> None:
    """Tell the service of the new ticker."""
    walk.seq_before_rename = await head(walk.storage)
    update = SymbolUpdate({"symbol": NEW_NAME}, date.fromisoformat(RENAMED))
    await walk.storage.symbols.update(OLD_NAME, update)


async def look_at_gaps(walk: Walk) -> None:
    """Ask why the newest session is missing, of every symbol that was there at the time."""
    now_us = walk.clock.now_us()
    newest_us = now_us - now_us % DAY_US - DAY_US
    for symbol in (*NEW_YORK, *LONDON):
        ticker = NEW_NAME if symbol == OLD_NAME else symbol
        found, _ = await CoverageReader(walk.storage.reader).read(
            ticker, Timeframe.DAY_1, newest_us, newest_us + DAY_US, now_us
        )
        causes = [found.gaps.causes[row] for row in found.gaps.cause.tolist()]
        walk.gaps_in_outage[ticker] = [(cause.reason, cause.provider) for cause in causes]
