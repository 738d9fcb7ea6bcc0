"""A year of sessions, simulated: what the service ends in is the truth.

Its clock is the test's, and jumps from slot to slot. The provider is a program on loopback, behind the
adapter, that knows at each moment what would be known then: bars that have ended, some of them wrong at
first. It has outages; the service is down for some days, and is started anew every month.
"""

from collections.abc import AsyncIterator
from datetime import date
from typing import Final

import numpy as np
import pytest

from marketdata.client import MarketDataClient
from marketdata.domain.adjustment import Adjustment
from marketdata.domain.as_of import AsOf
from marketdata.domain.bar_query import BarQuery
from marketdata.domain.bars import BarFrame
from marketdata.domain.gaps import GapReason
from marketdata.domain.symbol import SymbolStatus
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.coverage import CoverageReader
from marketdata.storage.embedded import ServerAddress
from tests.contract.service import serving
from tests.support.databases import Databases
from tests.support.reads import read_in_bulk
from tests.support.rows import fetch
from tests.support.storage import opened_storage
from tests.support.year.checks import (
    differences,
    mended_bars,
    planted_errors,
    quarantined,
    replayed,
    stored_by_key,
    stored_of,
)
from tests.support.year.events import EVENTS, Event, adjusted
from tests.support.year.lived import simulate
from tests.support.year.sessions import sessions_of, utc
from tests.support.year.truth import (
    CORRECTED,
    DELISTED,
    END,
    HISTORY_START,
    LONDON,
    MINUTE_WINDOWS,
    NEW_NAME,
    NEW_YORK,
    OLD_NAME,
    WITH_MINUTES,
    gap_reasons,
    is_out,
    year,
)
from tests.support.year.walk import Walk

pytestmark = [
    pytest.mark.modes("plain", reason="two minutes; each mode's tables have tests of their own"),
    pytest.mark.timeout(600),
]

# Nobody was asked for its first weeks.
_BEFORE: Final = "2022-12-01"
_NOW_US: Final = utc(END)
_WHOLE: Final = TimeRange(utc(HISTORY_START), utc("2025-01-01"))


@pytest.fixture(scope="module")
async def address(databases: Databases) -> AsyncIterator[ServerAddress]:
    """Give the address of the year's database."""
    database = await databases.migrated()
    yield database
    databases.drop(database)


@pytest.fixture(scope="module")
async def lived(address: ServerAddress) -> AsyncIterator[Walk]:
    """Live through the year once; the tests only look at what is left of it."""
    async with opened_storage(address.for_service, owner=lambda: address) as storage:
        yield await simulate(storage)


@pytest.fixture(scope="module")
async def client(lived: Walk, address: ServerAddress) -> AsyncIterator[MarketDataClient]:
    """Ask a service that is started after the year."""
    del lived
    async with serving(lambda: address) as service, MarketDataClient(service.address) as asking:
        yield asking


@pytest.mark.parametrize("key", year().bars, ids="-".join)
async def test_bars_given_a_year_are_the_truth(lived: Walk, key: tuple[str, str]) -> None:
    """Every bar is there once with the values that were true in the end; none is made up."""
    assert not differences(await stored_of(lived.storage, key), year(), key)


async def test_feeds_given_a_year_are_those_of_the_provider(lived: Walk) -> None:
    """Each bar says which product of which provider it is from."""
    stored = await stored_by_key(lived.storage)
    feeds = dict(await fetch(lived.storage, "SELECT feed_id, provider || '/' || feed FROM market_feed"))
    assert {feeds[bar.feed] for bar in stored.values()} == {"alpaca/iex"}


async def test_revisions_given_late_corrections_are_exactly_theirs(lived: Walk) -> None:
    """A bar that was mended days later says that it was revised, once; no other does."""
    stored = await stored_by_key(lived.storage)
    assert {key for key, bar in stored.items() if bar.revision} == mended_bars(year())
    assert max(bar.revision for bar in stored.values()) == 1


async def test_corrections_given_a_point_in_time_read_as_they_were_known(lived: Walk) -> None:
    """On the evening after a session its bar reads as it was told first, and later as it is true."""
    series = year().bars["HAZEL", "1d"]
    for row, _ in CORRECTED["HAZEL"]:
        label_us, mended_us = int(series.time_us[row]), int(series.mended_us[row])
        within = TimeRange(label_us, label_us + 1)
        before = await _read(lived, "HAZEL", AsOf(lived.seq_before(mended_us)), within)
        assert before.close.tolist() == [series.first[row, 3]]
        now = await _read(lived, "HAZEL", None, within)
        assert now.close.tolist() == [series.right[row, 3]]


async def test_quarantine_given_errors_of_the_provider_holds_exactly_these(lived: Walk) -> None:
    """Prices in pence and spikes stand aside; splits, corrections and holidays trouble nobody."""
    assert await quarantined(lived.storage) == planted_errors(year())


async def test_change_log_given_a_year_replays_to_what_is_stored(lived: Walk) -> None:
    """Whoever followed the log from its beginning has every bar as it is stored."""
    assert await replayed(lived.storage) == await stored_by_key(lived.storage)


async def test_slots_given_a_year_are_executed_once_each(lived: Walk) -> None:
    """Each slot that was due while a service ran has one run, and there are no other runs."""
    rows = await fetch(lived.storage, "SELECT request_id FROM ingestion_run ORDER BY request_id")
    assert [name for (name,) in rows] == sorted(name for name, _ in lived.started)
    assert len(set(rows)) == len(rows)
    assert not lived.followed


async def test_runs_given_outages_fail_in_these_only(lived: Walk) -> None:
    """While the provider is down runs fail, and none after it."""
    rows = await fetch(lived.storage, "SELECT request_id, state FROM ingestion_run")
    states = {state for _, state in rows}
    assert states == {"failed", "succeeded"}
    failed = {name for name, state in rows if state == "failed"}
    assert failed == {name for name, started_us in lived.started if is_out(started_us)}


@pytest.mark.parametrize("symbol", [*NEW_YORK, *LONDON])
async def test_gaps_given_a_year_have_their_true_reasons(client: MarketDataClient, symbol: str) -> None:
    """What was never asked for, never there, not traded or in quarantine is told apart, and all of it.

    Another service says so than those that saw it happen.
    """
    calendar = sessions_of("XLON" if symbol in LONDON else "XNYS")
    sessions = calendar.between(_BEFORE, "2025-01-01").label_us
    span = (date.fromisoformat(_BEFORE), date(2025, 1, 1))
    coverage = await client.get_bar_coverage(symbol, "1d", *span)
    found: dict[int, str] = {}
    for gap in coverage.gaps:
        edges = [round(moment.timestamp() * 1_000_000) for moment in (gap.start, gap.end)]
        within = sessions[(sessions >= edges[0]) & (sessions < edges[1])]
        assert len(within) == gap.missing_count
        assert gap.provider == ("" if gap.reason.name == "MISSING" else "alpaca")
        found |= dict.fromkeys(within.tolist(), gap.reason.name)
    assert found == gap_reasons(year(), _tickers(symbol), sessions)


async def test_gaps_given_a_provider_that_is_down_say_that_it_failed(lived: Walk) -> None:
    """While it is down nobody knows better: also of a symbol that is delisted by then."""
    assert set(lived.gaps_in_outage) == {NEW_NAME, *NEW_YORK, *LONDON} - {OLD_NAME}
    for causes in lived.gaps_in_outage.values():
        assert causes == [(GapReason.FAILED, "alpaca")]


@pytest.mark.parametrize("symbol", WITH_MINUTES)
async def test_minutes_given_their_sessions_are_counted_by_session(lived: Walk, symbol: str) -> None:
    """Over both switches of the clocks and a half day each session has the minutes that were traded."""
    time_us = year().expected((symbol, "1m")).time_us
    for start, end in MINUTE_WINDOWS:
        sessions = sessions_of("XNYS").between(start, end)
        found, _ = await CoverageReader(lived.storage.reader).read(
            symbol, Timeframe.MINUTE_1, utc(start), utc(end), _NOW_US, with_sessions=True
        )
        assert found.sessions is not None
        regular = [np.searchsorted(time_us, edge) for edge in (sessions.open_us, sessions.close_us)]
        assert found.sessions.label_us.tolist() == sessions.label_us.tolist()
        assert found.sessions.present.tolist() == (regular[1] - regular[0]).tolist()


async def test_reads_given_a_rename_answer_under_both_names(lived: Walk) -> None:
    """One series, whichever name is asked for; as of before the rename, only the old one."""
    expected = [year().expected((ticker, "1d")) for ticker in (OLD_NAME, NEW_NAME)]
    for name in (OLD_NAME, NEW_NAME):
        frame = await _read(lived, name)
        assert frame.time_us.tolist() == np.concatenate([s.time_us for s in expected]).tolist()
        assert frame.close.tolist() == np.concatenate([s.right[:, 3] for s in expected]).tolist()
    before = AsOf(lived.seq_before_rename)
    known_us = expected[0].time_us[:-1]  # the last one came after it
    assert (await _read(lived, OLD_NAME, before)).time_us.tolist() == known_us.tolist()
    answer = await read_in_bulk(lived.storage, _query(NEW_NAME, before))
    assert answer.unresolved == (NEW_NAME,)


async def test_symbol_given_bars_that_end_is_still_active(lived: Walk) -> None:
    """Empty answers for months delist nobody: that takes evidence."""
    assert (await lived.storage.symbols.get(DELISTED)).status is SymbolStatus.ACTIVE


@pytest.mark.parametrize("symbol", [*NEW_YORK, *LONDON])
async def test_actions_given_weekly_answers_are_those_of_the_year(lived: Walk, symbol: str) -> None:
    """Announced ones, a split that only its jump told of, and a dividend whose amount was mended."""
    stored = await lived.storage.actions.list_all(symbol)
    told = [(each.ex_date.isoformat(), each.split_ratio, each.cash_amount) for each in stored]
    assert told == [(event.ex_date, event.ratio, event.cash) for event in _events(symbol)]


@pytest.mark.parametrize("symbol", ["CEDAR", "LARCH", "MAPLE", OLD_NAME, "AMBER"])
async def test_adjusted_reads_given_actions_are_the_truth_adjusted(lived: Walk, symbol: str) -> None:
    """Splits and dividends are taken out of what was traded, over a rename as well."""
    series = [year().expected((ticker, "1d")) for ticker in _tickers(symbol)]
    time_us = np.concatenate([each.time_us for each in series])
    expected = adjusted(time_us, np.concatenate([each.right for each in series]), _events(symbol))
    frame = await _read(lived, symbol, adjustment=Adjustment.ALL)
    assert frame.time_us.tolist() == time_us.tolist()
    for place, name in enumerate(("open", "high", "low", "close", "volume", "vwap")):
        np.testing.assert_allclose(getattr(frame, name), expected[:, place], rtol=1e-12, err_msg=name)


def _events(symbol: str) -> tuple[Event, ...]:
    return tuple(event for event in EVENTS if event.symbol in _tickers(symbol))


def _tickers(symbol: str) -> tuple[str, ...]:
    return (OLD_NAME, NEW_NAME) if symbol == OLD_NAME else (symbol,)


def _query(
    symbol: str,
    as_of: AsOf | None = None,
    within: TimeRange = _WHOLE,
    adjustment: Adjustment = Adjustment.RAW,
) -> BarQuery:
    return BarQuery(
        (symbol,),
        Timeframe.DAY_1,
        within,
        as_of=as_of,
        stored_only=True,
        adjustment=adjustment,
        now_us=_NOW_US,
    )


async def _read(
    lived: Walk,
    symbol: str,
    as_of: AsOf | None = None,
    within: TimeRange = _WHOLE,
    adjustment: Adjustment = Adjustment.RAW,
) -> BarFrame:
    answer = await read_in_bulk(lived.storage, _query(symbol, as_of, within, adjustment))
    assert not answer.unresolved
    return BarFrame.concatenate(answer.frames)
