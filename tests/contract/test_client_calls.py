"""Every call of the typed client against the real service, through both of its faces."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np
import pytest

from marketdata.client import (
    Adjustment,
    Bar,
    BarOrder,
    CorporateAction,
    CorporateActionKind,
    MarketDataClient,
    MatchKind,
    NewSymbol,
    SessionHours,
    SymbolOrder,
    SymbolStatus,
    SymbolValidity,
    SyncMarketDataClient,
    Timeframe,
)
from marketdata.domain.time_range import to_unix_us
from marketdata.errors import (
    BarNotFoundError,
    CallCancelledError,
)
from marketdata.storage.embedded import ServerAddress
from tests.contract.service import Service, serving
from tests.contract.streams import held
from tests.support.client_bars import OPEN, SESSIONS, frame_of, labels
from tests.support.databases import Databases

SPLIT: Final = CorporateAction(CorporateActionKind.SPLIT, date(2024, 1, 9), split_ratio=2.0)
DIVIDEND: Final = CorporateAction(CorporateActionKind.CASH_DIVIDEND, date(2024, 1, 2), cash_amount=0.5)


@pytest.fixture(scope="module")
async def filled(databases: Databases) -> AsyncIterator[Service]:
    """Give a service whose tests change nothing: days with a hole, minutes around the open, a split."""
    database = await databases.migrated()
    async with serving(lambda: database) as running:
        async with MarketDataClient(running.address) as client:
            await client.create_symbol(NewSymbol("AAPL", name="Apple Inc.", venue="XNAS"))
            await client.create_symbol(NewSymbol("IBM", name="International Business Machines"))
            await client.create_symbol(NewSymbol("TWTR", status=SymbolStatus.DELISTED))
            days = [day for day in SESSIONS if day != date(2024, 1, 5)]
            minutes = [OPEN + timedelta(minutes=n) for n in range(-10, 20)]
            await client.upload_bars(frame_of("AAPL", labels(days)), "1d")
            await client.upload_bars(frame_of("IBM", labels(SESSIONS[:3])), "1d")
            await client.upload_bars(frame_of("AAPL", minutes), "1m")
            await client.create_corporate_actions("AAPL", [SPLIT, DIVIDEND])
        yield running
    databases.drop(database)


@pytest.fixture
async def client(filled: Service) -> AsyncIterator[MarketDataClient]:
    """Give a client of the filled service."""
    async with MarketDataClient(filled.address) as made:
        yield made


async def test_bars_given_adjustment_applies_it_and_says_so(client: MarketDataClient) -> None:
    """Prices before the split are halved; an action that could not be applied is told."""
    raw = await client.bars("AAPL", "1d")
    split = await client.bars("AAPL", "1d", adjustment="split")
    full = await client.bars("AAPL", Timeframe.DAY_1, adjustment=Adjustment.ALL)
    before = raw.time_us < to_unix_us(datetime(2024, 1, 9, tzinfo=UTC))
    assert np.allclose(split.close, np.where(before, raw.close / 2, raw.close))
    assert np.allclose(split.volume, np.where(before, raw.volume * 2, raw.volume))
    assert raw.applied.adjustment is Adjustment.RAW
    assert full.applied.adjustment is Adjustment.ALL
    assert [(a.symbol, a.ex_date) for a in full.applied.unadjusted_actions] == [
        ("AAPL", date(2024, 1, 2))
    ]
    assert full.applied.unadjusted_actions[0].reason


@pytest.mark.parametrize(("session", "count"), [("regular", 20), ("extended", 10), ("all", 30)])
async def test_bars_given_session_gives_its_part_of_the_day(
    client: MarketDataClient, session: str, count: int
) -> None:
    """Minutes before the open are of the extended session."""
    bars = await client.bars("AAPL", "1m", session=session)
    assert len(bars) == count
    assert bars.applied.session is SessionHours(session)


@pytest.mark.parametrize("order", BarOrder)
async def test_bars_given_order_has_it(client: MarketDataClient, order: BarOrder) -> None:
    """Symbols as asked for, times up or down, whichever stands first."""
    bars = await client.bars(["IBM", "AAPL"], "1d", order=order)
    rows = [
        (bars.symbols[index], time_us)
        for index, time_us in zip(bars.row_symbol_index(), bars.time_us.tolist(), strict=True)
    ]
    sign = -1 if order.is_descending else 1
    by_symbol = sorted(rows, key=lambda row: (row[0] != "IBM", sign * row[1]))
    by_time = sorted(by_symbol, key=lambda row: sign * row[1])
    assert rows == (by_time if order.is_by_time else by_symbol)
    assert bars.applied.order is order


async def test_bars_given_derived_timeframe_says_its_source(client: MarketDataClient) -> None:
    """Bars of five minutes are made from minutes."""
    bars = await client.bars("AAPL", "5m", date(2024, 1, 2), date(2024, 1, 3))
    assert bars.applied.timeframe is Timeframe.MINUTES_5
    assert bars.applied.source_timeframe is Timeframe.MINUTE_1
    assert bars.time_us.tolist() == [
        to_unix_us(OPEN + timedelta(minutes=5 * number)) for number in range(4)
    ]


async def test_bars_given_only_times_gives_them(client: MarketDataClient) -> None:
    """No column at all is not all of them."""
    bars = await client.bars("IBM", "1d", columns=())
    assert list(bars.to_numpy()) == ["time"]
    assert len(bars) == 3
    assert len(bars.close) == 0


async def test_latest_bars_given_symbols_say_why_there_is_none(client: MarketDataClient) -> None:
    """One symbol raises; of many each has its own answer."""
    bar = await client.get_latest_bar("AAPL", "1d")
    assert (bar.session_date, bar.close, bar.currency) == (date(2024, 1, 12), 107.0, "USD")
    assert (bar.vwap, bar.trade_count, bar.is_final) == (None, None, True)
    assert (await client.get_latest_bar("AAPL")).timeframe is Timeframe.MINUTE_1
    with pytest.raises(BarNotFoundError):
        await client.get_latest_bar("TWTR")
    found = await client.get_latest_bars(["IBM", "NOPE", "TWTR", "ibm"], "1d")
    assert [(entry.symbol, entry.bar is None, entry.reason) for entry in found] == [
        ("IBM", False, ""),
        ("NOPE", True, "SYMBOL_NOT_FOUND"),
        ("TWTR", True, "BAR_NOT_FOUND"),
        ("ibm", True, "MALFORMED_SYMBOL"),
    ]


async def test_list_bars_given_pages_are_the_rows_of_bars(client: MarketDataClient) -> None:
    """The readable form is the same bars, a page at a time."""
    rows: list[Bar] = []
    token = ""
    while True:
        page = await client.list_bars("AAPL", "1d", adjustment="split", page_size=3, page_token=token)
        rows += page.bars
        token = page.next_page_token
        if not token:
            break
    bars = await client.bars("AAPL", "1d", adjustment="split")
    assert [bar.close for bar in rows] == bars.close.tolist()
    assert [to_unix_us(bar.time) for bar in rows] == bars.time_us.tolist()
    assert (page.adjustment, page.session) == (Adjustment.SPLIT, SessionHours.REGULAR)
    assert page.source_timeframe is Timeframe.DAY_1


async def test_coverage_given_hole_tells_it(client: MarketDataClient) -> None:
    """What the calendar lets expect and is not there."""
    coverage = await client.get_bar_coverage("AAPL", "1d", SESSIONS[0], date(2024, 1, 13))
    assert (coverage.count, coverage.expected_count) == (8, 9)
    (gap,) = coverage.gaps
    assert (gap.start, gap.missing_count) == (datetime(2024, 1, 5, tzinfo=UTC), 1)
    empty = await client.get_bar_coverage("TWTR", "1d", SESSIONS[0], date(2024, 1, 13))
    assert (empty.first, empty.last, empty.count) == (None, None, 0)


async def test_statistics_given_symbol_count_its_bars(client: MarketDataClient) -> None:
    """A line a timeframe."""
    lines = await client.get_bar_statistics("AAPL")
    assert {line.timeframe: line.rows for line in lines} == {
        Timeframe.MINUTE_1: 30,
        Timeframe.DAY_1: 8,
    }
    assert len(await client.get_bar_statistics()) == 2


async def test_symbols_given_filters_are_listed_found_and_judged(client: MarketDataClient) -> None:
    """Lists, search and validation."""
    assert [s.symbol async for s in client.list_symbols()] == ["AAPL", "IBM", "TWTR"]
    assert [s.symbol async for s in client.list_symbols(descending=True, page_size=1)] == [
        "TWTR", "IBM", "AAPL",
    ]  # fmt: skip
    by_name = client.list_symbols(order=SymbolOrder.NAME, status=SymbolStatus.ACTIVE)
    assert [s.symbol async for s in by_name] == ["AAPL", "IBM"]
    assert [s.symbol async for s in client.list_symbols(venue="XNAS")] == ["AAPL"]
    (best, *_) = await client.search_symbols("aapl")
    assert (best.symbol.symbol, best.kind, best.score) == ("AAPL", MatchKind.EXACT, 1.0)
    verdicts = await client.validate_symbols(["AAPL", "TWTR", "NOPE", "a b"])
    assert [verdict.validity for verdict in verdicts] == [
        SymbolValidity.KNOWN_ACTIVE,
        SymbolValidity.KNOWN_DELISTED,
        SymbolValidity.UNKNOWN,
        SymbolValidity.MALFORMED,
    ]
    assert verdicts[3].problem


async def test_corporate_actions_given_filters_are_listed(client: MarketDataClient) -> None:
    """Ascending by ex-date, of a kind or a range; stored again they change nothing."""
    actions = [a async for a in client.list_corporate_actions("AAPL", page_size=1)]
    assert actions == [DIVIDEND, SPLIT]
    kind = CorporateActionKind.SPLIT
    assert [a async for a in client.list_corporate_actions("AAPL", kind=kind)] == [SPLIT]
    early = client.list_corporate_actions("AAPL", end=date(2024, 1, 9))
    assert [a async for a in early] == [DIVIDEND]
    again = await client.create_corporate_actions("AAPL", [SPLIT])
    assert (again.accepted, again.unchanged, again.seq) == (0, 1, 0)


async def test_sync_client_given_every_read_answers_like_the_other(
    filled: Service, client: MarketDataClient
) -> None:
    """One implementation: both faces give the same answers, from any number of threads."""

    def reads() -> list[Any]:
        bars = sync.bars(["AAPL", "IBM"], "1d", adjustment="split")
        return [
            bars.to_pandas().to_csv(),
            [len(frame) for frame in sync.stream_bars("AAPL", "1m", session="all")],
            sync.get_symbol("AAPL"),
            list(sync.list_symbols(page_size=2)),
            sync.search_symbols("apple"),
            sync.validate_symbols(["AAPL", "x"]),
            list(sync.list_corporate_actions("AAPL")),
            sync.get_latest_bar("AAPL"),
            sync.get_latest_bars(["AAPL", "NOPE"]),
            sync.list_bars("AAPL", "1d").bars,
            sync.get_bar_coverage("AAPL", "1d"),
            sync.get_bar_statistics("AAPL"),
        ]

    bars = await client.bars(["AAPL", "IBM"], "1d", adjustment="split")
    expected = [
        bars.to_pandas().to_csv(),
        [len(frame) async for frame in client.stream_bars("AAPL", "1m", session="all")],
        await client.get_symbol("AAPL"),
        [symbol async for symbol in client.list_symbols()],
        await client.search_symbols("apple"),
        await client.validate_symbols(["AAPL", "x"]),
        [action async for action in client.list_corporate_actions("AAPL")],
        await client.get_latest_bar("AAPL"),
        await client.get_latest_bars(["AAPL", "NOPE"]),
        (await client.list_bars("AAPL", "1d")).bars,
        await client.get_bar_coverage("AAPL", "1d"),
        await client.get_bar_statistics("AAPL"),
    ]
    with SyncMarketDataClient(filled.address) as sync:
        for found in await asyncio.gather(*(asyncio.to_thread(reads) for _ in range(4))):
            assert found == expected


async def test_client_given_close_ends_calls_with_an_error_of_the_tree(
    service: Service, database: ServerAddress
) -> None:
    """A task that waits for a call is not cancelled by who closes the client: its call is."""
    client = MarketDataClient(service.address)
    await client.create_symbol(NewSymbol("AAPL"))
    await client.upload_bars(frame_of("AAPL", labels(SESSIONS[:1])), "1d")
    with held(database):
        reading = asyncio.create_task(client.bars("AAPL", "1d"))
        latest = asyncio.create_task(client.list_bars("AAPL", "1d"))
        await service.until_busy("streams", 1)
        await service.until_busy("queries", 1)
        await client.close()
        for task in (reading, latest):
            with pytest.raises(CallCancelledError):
                await task


async def test_client_given_other_event_loop_says_so(filled: Service) -> None:
    """A channel belongs to the loop of its first call."""
    client = MarketDataClient(filled.address)
    await client.get_symbol("AAPL")

    def elsewhere() -> None:
        with pytest.raises(RuntimeError, match="another event loop"):
            asyncio.run(client.get_symbol("AAPL"))

    await asyncio.to_thread(elsewhere)
    await client.close()
    with pytest.raises(RuntimeError, match="closed"):
        await client.get_symbol("AAPL")
