"""Symbols: created, found by any ticker they had, listed in order; what the log says of it."""

import asyncio
from datetime import date
from typing import Final

import pytest

from marketdata.domain.symbol import AssetClass, NewSymbol, Symbol, SymbolStatus
from marketdata.domain.time_range import TimeRange, session_label_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import SymbolAlreadyExistsError, SymbolNotFoundError
from tests.support.rows import LoggedChange, changes, fetch
from tests.support.storage import Storage
from tests.support.symbols import create_renamed, create_symbols

RENAMED: Final = date(2022, 6, 9)
REUSED: Final = date(2023, 7, 3)


async def test_create_given_every_field_stores_each(storage: Storage) -> None:
    """What is created is what is read, with an identity."""
    new = NewSymbol(
        symbol="BTC-USD",
        name="Bitcoin",
        venue="XOFF",
        asset_class=AssetClass.CRYPTO,
        currency="EUR",
        calendar="24/7",
        time_zone="Europe/Berlin",
        tick_size=0.01,
        status=SymbolStatus.DELISTED,
        ipo_date=date(2009, 1, 3),
        provider_symbols={"alpaca": "BTC/USD", "alpha_vantage": "BTC"},
    )
    created = await storage.symbols.create(new)
    assert created.symbol_id > 0
    assert (created.valid_from, created.valid_to) == (None, None)
    fields = {name: getattr(created, name) for name in NewSymbol.__dataclass_fields__}
    assert NewSymbol(**fields) == new
    assert await storage.symbols.get("BTC-USD") == created


async def test_create_given_a_symbol_appends_to_the_log(storage: Storage) -> None:
    """A new symbol changes answers: the log says which."""
    await create_symbols(storage, "AAPL", "MSFT")
    assert await changes(storage) == [
        LoggedChange(seq, "symbol", (symbol,), None, (None, None), 0, 0, None)
        for seq, symbol in ((1, "AAPL"), (2, "MSFT"))
    ]


async def test_create_given_an_existing_symbol_is_refused(storage: Storage) -> None:
    """The first one stays, and nothing is logged."""
    await create_symbols(storage, "AAPL")
    before = await storage.symbols.get("AAPL")
    with pytest.raises(SymbolAlreadyExistsError, match="symbol AAPL exists") as caught:
        await storage.symbols.create(NewSymbol("AAPL", name="Another"))
    assert caught.value.metadata == {"symbol": "AAPL"}
    assert await storage.symbols.get("AAPL") == before
    assert len(await changes(storage)) == 1
    assert await fetch(storage, "SELECT count(*) FROM market_symbol") == [(1,)]


async def test_create_given_a_former_ticker_is_refused(storage: Storage) -> None:
    """A symbol is created without bounds, so it cannot take a name that somebody had."""
    await create_renamed(storage, [("FB", None, RENAMED), ("META", RENAMED, None)])
    for ticker in ("FB", "META"):
        with pytest.raises(SymbolAlreadyExistsError):
            await storage.symbols.create(NewSymbol(ticker))


async def test_create_given_many_at_once_makes_one(storage: Storage) -> None:
    """Of creators that race for a name one wins and every other one is told so."""
    for symbol in (f"S{number}" for number in range(12)):
        creations = [storage.symbols.create(NewSymbol(symbol)) for _ in range(12)]
        outcomes = await asyncio.gather(*creations, return_exceptions=True)
        created = [outcome for outcome in outcomes if isinstance(outcome, Symbol)]
        refused = [outcome for outcome in outcomes if isinstance(outcome, SymbolAlreadyExistsError)]
        assert (len(created), len(refused)) == (1, 11), outcomes


async def test_get_given_an_unknown_symbol_raises_symbol_not_found(storage: Storage) -> None:
    """The message says how to find known ones, and how to add one."""
    with pytest.raises(SymbolNotFoundError, match=r"NOPE is not known.*ListSymbols.*CreateSymbol"):
        await storage.symbols.get("NOPE")


async def test_get_given_a_former_ticker_finds_the_identity(storage: Storage) -> None:
    """FB finds META: the latest ticker with the dates of its own validity."""
    await create_renamed(storage, [("FB", None, RENAMED), ("META", RENAMED, None)], name="Meta")
    by_new, by_old = await storage.symbols.get("META"), await storage.symbols.get("FB")
    assert by_new == by_old
    assert (by_new.symbol, by_new.name) == ("META", "Meta")
    assert (by_new.valid_from, by_new.valid_to) == (RENAMED, None)


async def test_get_given_a_reused_ticker_finds_its_holder(storage: Storage) -> None:
    """Once another company has the ticker it names that one only; the first keeps its own."""
    await create_renamed(storage, [("FB", None, RENAMED), ("META", RENAMED, None)], name="Meta")
    await create_renamed(storage, [("FB", REUSED, None)], name="Fubo")
    assert (await storage.symbols.get("FB")).name == "Fubo"
    assert (await storage.symbols.get("META")).name == "Meta"


async def test_get_given_a_ticker_that_ended_finds_who_had_it_last(storage: Storage) -> None:
    """A delisted symbol is still known; of two former holders the later is meant."""
    await create_renamed(storage, [("X", date(2000, 1, 3), date(2001, 1, 2))], name="first")
    await create_renamed(storage, [("X", date(2005, 1, 3), date(2006, 1, 3))], name="second")
    assert (await storage.symbols.get("X")).name == "second"


async def test_list_page_given_pages_lists_every_symbol_once_by_ticker(storage: Storage) -> None:
    """By bytes, as PostgreSQL's C collation and Python's sort agree, whatever the page size."""
    names = ["B", "AAPL", "BRK.B", "BRK-A", "^GSPC", "A", "EURUSD=X", "AA", "BB"]
    await create_symbols(storage, *names)
    for size in (1, 2, 4, 9, 100):
        listed: list[str] = []
        after = ("", 0)
        while page := await storage.symbols.list_page(after, size):
            assert len(page) <= size
            listed += [symbol.symbol for symbol in page]
            after = (page[-1].symbol, page[-1].symbol_id)
        assert listed == sorted(names)


async def test_list_page_given_a_ticker_of_two_identities_lists_both(storage: Storage) -> None:
    """Reused tickers are told apart by identity, also where a page ends between them."""
    await create_renamed(storage, [("X", date(2000, 1, 3), date(2001, 1, 2))], name="first")
    await create_renamed(storage, [("X", date(2005, 1, 3), None)], name="second")
    (first,) = await storage.symbols.list_page(("", 0), 1)
    (second,) = await storage.symbols.list_page((first.symbol, first.symbol_id), 1)
    assert (first.name, first.valid_to) == ("first", date(2001, 1, 2))
    assert (second.name, second.valid_from) == ("second", date(2005, 1, 3))


async def test_resolve_given_symbols_keeps_their_order_and_leaves_out_unknown(storage: Storage) -> None:
    """Answers come in the order asked for; a symbol without history has one unbounded segment."""
    await create_symbols(storage, "A", "B", "C")
    found = await storage.symbols.resolve(["C", "NOPE", "A"], Timeframe.DAY_1)
    assert list(found) == ["C", "A"]
    for symbol, resolved in found.items():
        (segment,) = resolved.segments
        assert (resolved.symbol, segment.ticker, resolved.currency) == (symbol, symbol, "USD")
        day = Timeframe.DAY_1
        assert segment.range == TimeRange(day.earliest_us, day.latest_us)


async def test_resolve_given_three_names_lists_segments_by_time(storage: Storage) -> None:
    """Segments meet without a gap and without an overlap."""
    first, second = date(2010, 3, 1), date(2015, 5, 4)
    await create_renamed(storage, [("C", second, None), ("A", None, first), ("B", first, second)])
    segments = (await storage.symbols.resolve(["B"], Timeframe.DAY_1))["B"].segments
    assert [segment.ticker for segment in segments] == ["A", "B", "C"]
    assert [s.range.end_us for s in segments[:2]] == [s.range.start_us for s in segments[1:]]
    assert segments[1].range == TimeRange(session_label_us(first), session_label_us(second))
