"""Symbols changed and deleted while others write their bars: no deadlock, and nothing is halved."""

import asyncio
from datetime import date, timedelta
from typing import Final

import pytest

from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.symbol import NewSymbol, Symbol, SymbolUpdate
from marketdata.domain.time_range import session_label_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import (
    InvalidRequestError,
    RenameRefusedError,
    SymbolAlreadyExistsError,
    SymbolNotFoundError,
)
from marketdata.storage.actions import ActionResult, read_actions
from tests.support.bars import Bar, frame_of
from tests.support.rows import changes, fetch, latest_bars, stored_bars
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

DAY: Final = Timeframe.DAY_1
FIRST: Final = date(2024, 1, 2)


def renamed(symbol: str, day: date = FIRST) -> SymbolUpdate:
    """Make the update that renames a symbol."""
    return SymbolUpdate({"symbol": symbol}, day)


async def test_rename_given_writers_of_both_tickers_never_deadlocks(storage: Storage) -> None:
    """Renames back and forth between writers of many tickers, in orders that cross."""
    tickers = [f"S{number}" for number in range(8)]
    await create_symbols(storage, *tickers)

    async def write(number: int) -> None:
        bars = [
            Bar(ticker, session_label_us(date(2000, 1, 3)), volume=float(number)) for ticker in tickers
        ]
        await storage.writer.commit_bars(frame_of(bars[number % 8 :] + bars[: number % 8]), DAY)

    async def rename(number: int) -> None:
        await storage.symbols.update(f"S{number}", renamed(f"T{number}"))
        await storage.symbols.update(f"T{number}", renamed(f"S{number}", FIRST + timedelta(days=7)))

    await asyncio.gather(*(write(number) for number in range(24)), *(rename(n) for n in range(8)))
    assert [symbol.symbol for symbol in await storage.symbols.list_page(None, 100)] == tickers
    assert [bar.symbol for bar in await stored_bars(storage, DAY)] == tickers


async def test_delete_given_writers_of_others_never_deadlocks(storage: Storage) -> None:
    """Half of the symbols go with their bars while bars of all are written; the others keep theirs."""
    going, staying = [f"G{n}" for n in range(6)], [f"S{n}" for n in range(6)]
    await create_symbols(storage, *going, *staying)
    everyone = [Bar(s, session_label_us(FIRST)) for s in (*going, *staying)]
    for timeframe in (Timeframe.MINUTE_1, Timeframe.HOUR_1, DAY):
        await storage.writer.commit_bars(frame_of(everyone), timeframe)

    async def write(number: int) -> None:
        bars = [bar._replace(volume=float(number)) for bar in everyone if bar.symbol in staying]
        await storage.writer.commit_bars(frame_of(bars), DAY)

    outcomes = await asyncio.gather(
        *(write(number) for number in range(12)),
        *(storage.symbol_deleter.delete(symbol, force=True) for symbol in going),
    )
    assert outcomes[12:] == [3] * 6
    for timeframe in (Timeframe.MINUTE_1, Timeframe.HOUR_1, DAY):
        assert [bar.symbol for bar in await stored_bars(storage, timeframe)] == staying
        assert await latest_bars(storage, timeframe) == await stored_bars(storage, timeframe)


async def test_rename_given_many_to_one_ticker_lets_one_have_it(storage: Storage) -> None:
    """The others are told that it is taken, and keep their own."""
    await create_symbols(storage, *(f"S{number}" for number in range(8)))
    calls = [storage.symbols.update(f"S{number}", renamed("NEW")) for number in range(8)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert (
        sorted(type(outcome).__name__ for outcome in outcomes)
        == ["Symbol"] + [SymbolAlreadyExistsError.__name__] * 7
    )
    assert len(await changes(storage, after_seq=8)) == 1


async def test_rename_given_the_same_at_once_does_it_once(storage: Storage) -> None:
    """A call that was sent twice renames, and finds it done."""
    await create_symbols(storage, "FB")
    calls = [storage.symbols.update("FB", renamed("META")) for _ in range(6)]
    first, *rest = await asyncio.gather(*calls)
    assert all(symbol == first for symbol in rest)
    assert [change.symbols for change in await changes(storage)] == [("FB",), ("FB", "META")]


async def test_delete_given_rename_at_once_leaves_nothing_halved(storage: Storage) -> None:
    """Whichever comes first, there is one symbol whole, or none."""
    for number in range(10):
        old, new = f"OLD{number}", f"NEW{number}"
        await create_symbols(storage, old)
        updated, deleted = await asyncio.gather(
            storage.symbols.update(old, renamed(new)),
            storage.symbol_deleter.delete(old, force=False),
            return_exceptions=True,
        )
        assert isinstance(updated, (Symbol, SymbolNotFoundError))
        assert deleted == 0
    assert await fetch(storage, "SELECT count(*) FROM symbol_validity") == [(0,)]
    assert await storage.symbols.list_page(None, 100) == []


async def test_create_given_rename_that_frees_its_ticker_at_once_gets_it_or_not(
    storage: Storage,
) -> None:
    """Creating FB while FB becomes META: afterwards there is one FB, or it was refused."""
    for number in range(10):
        old = f"FB{number}"
        await create_symbols(storage, old)
        freed, created = await asyncio.gather(
            storage.symbols.update(old, renamed(f"META{number}")),
            storage.symbols.create(NewSymbol(old, valid_from=FIRST)),
            return_exceptions=True,
        )
        assert isinstance(freed, Symbol)
        assert isinstance(created, (Symbol, SymbolAlreadyExistsError))
        found = await storage.symbols.get(old)
        assert found == created if isinstance(created, Symbol) else found.symbol == f"META{number}"


async def test_create_actions_given_many_at_once_counts_each_once(storage: Storage) -> None:
    """The same actions from many callers are stored by one of them."""
    await create_symbols(storage, "AAPL")
    split = CorporateAction(CorporateActionKind.SPLIT, FIRST, split_ratio=2.0, currency="")
    results = await asyncio.gather(*(storage.actions.create("AAPL", [split]) for _ in range(8)))
    assert sorted(result.accepted for result in results) == [0] * 7 + [1]
    assert [result for result in results if result.accepted] == [ActionResult(1, 0, 2)]
    assert len(await changes(storage)) == 2


async def test_create_actions_given_near_repeats_at_once_keeps_one(storage: Storage) -> None:
    """One dividend under two dates is refused, also when both come at the same time."""
    await create_symbols(storage, "AAPL")
    calls = [
        storage.actions.create(
            "AAPL",
            [
                CorporateAction(
                    CorporateActionKind.CASH_DIVIDEND, FIRST + timedelta(days=n), cash_amount=0.5
                )
            ],
        )
        for n in range(4)
    ]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, InvalidRequestError)]
    assert (len(outcomes), len(refused)) == (4, 3)


async def test_create_actions_given_deleted_symbol_at_once_is_stored_or_unknown(
    storage: Storage,
) -> None:
    """Actions of a symbol that is going are never left behind."""
    for number in range(10):
        symbol = f"S{number}"
        await create_symbols(storage, symbol)
        split = CorporateAction(CorporateActionKind.SPLIT, FIRST, split_ratio=2.0)
        stored, deleted = await asyncio.gather(
            storage.actions.create(symbol, [split]),
            storage.symbol_deleter.delete(symbol, force=False),
            return_exceptions=True,
        )
        assert isinstance(stored, (ActionResult, SymbolNotFoundError))
        assert deleted == 0
    assert await fetch(storage, "SELECT count(*) FROM market_corporate_action") == [(0,)]


async def test_read_actions_given_identities_lists_each_ones(storage: Storage) -> None:
    """By identity, ascending by ex-date, on the caller's connection; those without are left out."""
    await create_symbols(storage, "A", "B", "C")
    for symbol in ("A", "B"):
        actions = [
            CorporateAction(CorporateActionKind.SPLIT, FIRST + timedelta(days=n), split_ratio=2.0 + n)
            for n in (9, 0)
        ]
        await storage.actions.add(symbol, actions)
    ids = [(await storage.symbols.get(symbol)).symbol_id for symbol in ("A", "B", "C")]
    async with storage.pools.query() as connection:
        found = await read_actions(connection, ids)
        assert await read_actions(connection, []) == {}
    assert list(found) == ids[:2]
    assert all([action.split_ratio for action in actions] == [2.0, 11.0] for actions in found.values())


async def test_rename_given_bars_from_the_date_on_names_what_is_in_the_way(storage: Storage) -> None:
    """The refusal says which bars, and what to do with them."""
    await create_symbols(storage, "FB")
    await storage.writer.commit_bars(frame_of([Bar("FB", session_label_us(FIRST))]), DAY)
    with pytest.raises(RenameRefusedError, match=r"FB has 1d bars from 2024-01-02 on.*DeleteBars"):
        await storage.symbols.update("FB", renamed("META"))
