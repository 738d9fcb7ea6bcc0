"""Two providers of the same symbols: one that is down costs no bar, and the better one has its say.

Two simulated months: the service's own scheduler and executor, with a clock that jumps from slot to
slot, and two played providers behind their adapters.
"""

from collections.abc import AsyncIterator

import numpy as np
import pytest

from marketdata.domain.symbol import SymbolStatus
from marketdata.domain.timeframe import Timeframe
from tests.support.databases import Databases
from tests.support.rows import fetch, stored_bars
from tests.support.storage import opened_storage
from tests.support.year.pair import (
    ALPACA_START,
    DELISTED,
    END,
    LAST_SESSION,
    OF_TAPE,
    OF_VENUE,
    OUT,
    REMOVED,
    TAPE,
    VENUE,
    Pair,
    simulate_pair,
    truth_of,
)
from tests.support.year.sessions import DAY_US, day_of, sessions_of, utc
from tests.support.year.truth import is_out

pytestmark = [
    pytest.mark.modes("plain", reason="half a minute; each mode's tables have tests of their own"),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
async def pair(databases: Databases) -> AsyncIterator[Pair]:
    """Live through the two months once; the tests only look at what is left of them."""
    database = await databases.migrated()
    async with opened_storage(database.for_service, owner=lambda: database) as storage:
        yield await simulate_pair(storage)
    databases.drop(database)


@pytest.mark.parametrize("symbol", [*OF_TAPE, *OF_VENUE])
async def test_bars_given_two_providers_are_the_truth_of_their_feeds(pair: Pair, symbol: str) -> None:
    """Each session has one bar, with the values of the feed that it says: never a mixture (rule 17)."""
    stored = await _stored(pair, symbol)
    truths = {feed: truth_of(feed)[symbol, "1d"] for feed in (TAPE, VENUE)}
    assert [time_us for time_us, *_ in stored] == truths[TAPE].time_us.tolist()
    for time_us, feed, _, values in stored:
        series = truths[feed]
        row = int(np.searchsorted(series.time_us, time_us))
        assert series.time_us[row] == time_us
        np.testing.assert_array_equal(np.array(values, np.float64), series.right[row])


async def test_outage_given_another_provider_costs_no_bar(pair: Pair) -> None:
    """At noon of a day on which a provider is down its symbols have their newest session anyhow."""
    for down, other in ((TAPE, VENUE), (VENUE, TAPE)):
        first_asks_it = OF_TAPE if down == TAPE else OF_VENUE
        newest = {symbol: pair.newest[down][symbol] for symbol in first_asks_it}
        assert newest == {symbol: [other] for symbol in first_asks_it}


@pytest.mark.parametrize("symbol", OF_TAPE)
async def test_better_feed_given_its_return_replaces_what_stood_in_for_it(
    pair: Pair, symbol: str
) -> None:
    """The bar of one venue is revised once; nothing of that feed is left."""
    stored = await _stored(pair, symbol)
    assert {feed for _, feed, _, _ in stored} == {TAPE}
    revised = [time_us for time_us, _, revision, _ in stored if revision]
    assert revised == [utc("2024-08-05")]


@pytest.mark.parametrize("symbol", OF_VENUE)
async def test_lesser_feed_given_its_return_leaves_what_stood_in_for_it(
    pair: Pair, symbol: str
) -> None:
    """The better bars of the days that were asked for in the outage stay, whatever comes later.

    So do those of before Alpaca's history, which were asked for since it has none.
    """
    expected = [
        TAPE
        if time_us < utc(ALPACA_START) or utc("2024-09-09") <= time_us < utc("2024-09-17")
        else VENUE
        for time_us in truth_of(TAPE)[symbol, "1d"].time_us.tolist()
    ]
    assert [feed for _, feed, _, _ in await _stored(pair, symbol)] == expected


async def test_delisting_given_no_bars_takes_evidence(pair: Pair) -> None:
    """Weeks without bars change nothing; a removal that is stated does, and says who states it."""
    assert pair.before_evidence is not None
    assert pair.before_evidence.status is SymbolStatus.ACTIVE
    now = await pair.walk.storage.symbols.get(DELISTED)
    assert now.status is SymbolStatus.DELISTED
    assert now.status_evidence is not None
    assert (now.status_evidence.source, str(now.status_evidence.day)) == ("alpha_vantage", REMOVED)
    for symbol in {*OF_TAPE, *OF_VENUE} - {DELISTED}:
        assert (await pair.walk.storage.symbols.get(symbol)).status is SymbolStatus.ACTIVE


async def test_slots_given_a_provider_that_is_down_go_on_once_with_the_next(pair: Pair) -> None:
    """What fails is asked of the other provider by one more run, and gaps once; nothing else is."""
    states = dict(await fetch(pair.walk.storage, "SELECT request_id, state FROM ingestion_run"))
    failed = {name for name, _ in pair.walk.started if states[name] == "failed"}
    assert failed == {
        name for name, at_us in pair.walk.started if is_out(at_us, OUT[_asked_first(name)])
    }
    assert len(failed) == 4
    followed = [name for name, _ in pair.walk.followed]
    assert sorted(followed) == sorted([*(f"{name}/2" for name in failed), *_gap_runs()])
    assert len(states) == len(pair.walk.started) + len(followed)


def _gap_runs() -> list[str]:
    """Name the runs that ask the second provider for what the first one has not.

    In the first night for what is before Alpaca's history; in the night after each session that the
    delisted symbol does not have any more.
    """
    missing = sessions_of("XNYS").between(LAST_SESSION, END[:10]).label_us[1:]
    nights = [str(day_of(label_us + DAY_US)) for label_us in missing.tolist()]
    return [
        "slot/2/repair/1d/2024-08-01T05:00:00Z/gaps/alpha_vantage/4",
        *(f"slot/1/repair/1d/{night}T05:00:00Z/gaps/alpaca/3" for night in nights),
    ]


def _asked_first(slot: str) -> str:
    return TAPE if slot.startswith("slot/1/") else VENUE


async def _stored(pair: Pair, symbol: str) -> list[tuple[int, str, int, tuple[float | None, ...]]]:
    """Read the days of a symbol: time, feed, revision and values."""
    query = "SELECT feed_id, provider || '/' || feed FROM market_feed"
    feeds = dict(await fetch(pair.walk.storage, query))
    return [
        (bar.time_us, feeds[bar.feed], bar.revision, bar[2:9])
        for bar in await stored_bars(pair.walk.storage, Timeframe.DAY_1)
        if bar.symbol == symbol
    ]
