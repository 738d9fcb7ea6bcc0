"""Corporate actions and feeds."""

from datetime import date
from typing import Final

import pytest
from psycopg import errors as pg

from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.feed import DEFAULT_FEED
from marketdata.errors import SymbolNotFoundError
from marketdata.storage.feeds import read_catalog
from tests.support.rows import LoggedChange, changes, fetch
from tests.support.storage import Storage
from tests.support.symbols import create_renamed, create_symbols

SPLIT: Final = CorporateAction(
    CorporateActionKind.SPLIT, date(2005, 2, 28), split_ratio=2.0, source="test"
)
DIVIDEND: Final = CorporateAction(
    CorporateActionKind.CASH_DIVIDEND, date(2012, 8, 9), cash_amount=2.65, currency="EUR"
)


async def test_add_given_actions_stores_each_with_its_fields(storage: Storage) -> None:
    """A split has a ratio and no amount, a dividend the other way round."""
    await create_symbols(storage, "AAPL")
    assert (await storage.actions.add("AAPL", [SPLIT, DIVIDEND])).accepted == 2
    rows = await fetch(
        storage,
        """
        SELECT symbol, kind, ex_date, split_ratio, cash_amount, action.currency, source
          FROM market_corporate_action AS action JOIN market_symbol USING (symbol_id) ORDER BY ex_date
        """,
    )
    assert rows == [
        ("AAPL", "split", date(2005, 2, 28), 2.0, None, "USD", "test"),
        ("AAPL", "cash_dividend", date(2012, 8, 9), None, 2.65, "EUR", ""),
    ]


async def test_add_given_known_actions_changes_nothing(storage: Storage) -> None:
    """The same input twice: counted are the new ones, the log has an entry only for those."""
    await create_symbols(storage, "AAPL")
    assert (await storage.actions.add("AAPL", [SPLIT])).accepted == 1
    assert (await storage.actions.add("AAPL", [SPLIT])).accepted == 0
    assert (await storage.actions.add("AAPL", [SPLIT, DIVIDEND])).accepted == 1
    assert await changes(storage, after_seq=1) == [
        LoggedChange(seq, "action", ("AAPL",), None, (None, None), 1, 0, None) for seq in (2, 3)
    ]
    assert await fetch(storage, "SELECT count(*) FROM market_corporate_action") == [(2,)]


async def test_add_given_an_action_of_another_day_or_kind_is_new(storage: Storage) -> None:
    """One event a kind and day: a split and a dividend may share a day."""
    await create_symbols(storage, "AAPL")
    others = [
        CorporateAction(CorporateActionKind.SPLIT, date(2014, 6, 9), split_ratio=7.0),
        CorporateAction(CorporateActionKind.CASH_DIVIDEND, SPLIT.ex_date, cash_amount=0.1),
    ]
    assert (await storage.actions.add("AAPL", [SPLIT, *others])).accepted == 3


async def test_add_given_no_actions_changes_nothing(storage: Storage) -> None:
    """An empty list is an answer of a provider like any other."""
    await create_symbols(storage, "AAPL")
    assert (await storage.actions.add("AAPL", [])).accepted == 0
    assert len(await changes(storage)) == 1


async def test_add_given_an_unknown_symbol_raises_symbol_not_found(storage: Storage) -> None:
    """Nothing is stored of an identity that is not known."""
    with pytest.raises(SymbolNotFoundError, match="NOPE is not known"):
        await storage.actions.add("NOPE", [SPLIT])
    assert await changes(storage) == []


async def test_add_given_a_former_ticker_stores_it_of_the_identity(storage: Storage) -> None:
    """Actions belong to the identity: the same one under another ticker is known."""
    await create_renamed(storage, [("FB", None, date(2022, 6, 9)), ("META", date(2022, 6, 9), None)])
    assert (await storage.actions.add("FB", [DIVIDEND])).accepted == 1
    assert (await storage.actions.add("META", [DIVIDEND])).accepted == 0


@pytest.mark.parametrize(
    "action",
    [
        CorporateAction(CorporateActionKind.SPLIT, date(2005, 2, 28), split_ratio=0.0),
        CorporateAction(CorporateActionKind.SPLIT, date(2005, 2, 28), split_ratio=float("nan")),
        CorporateAction(CorporateActionKind.SPLIT, date(2005, 2, 28), split_ratio=float("inf")),
        CorporateAction(CorporateActionKind.SPLIT, date(2005, 2, 28)),
        CorporateAction(CorporateActionKind.SPLIT, date(2005, 2, 28), split_ratio=2.0, cash_amount=1.0),
        CorporateAction(CorporateActionKind.CASH_DIVIDEND, date(2005, 2, 28), cash_amount=-0.1),
        CorporateAction(CorporateActionKind.CASH_DIVIDEND, date(2005, 2, 28), split_ratio=2.0),
    ],
    ids=["zero", "nan", "infinite", "no ratio", "both", "negative", "no amount"],
)
async def test_add_given_an_impossible_action_stores_none(
    storage: Storage, action: CorporateAction
) -> None:
    """The database itself refuses factors that adjustment cannot use, and the good ones with them."""
    await create_symbols(storage, "AAPL")
    with pytest.raises(pg.CheckViolation):
        await storage.actions.add("AAPL", [DIVIDEND, action])
    assert await fetch(storage, "SELECT count(*) FROM market_corporate_action") == [(0,)]
    assert len(await changes(storage)) == 1


async def test_read_catalog_given_a_new_database_has_its_feeds_by_rank(storage: Storage) -> None:
    """Uploads outrank files, these the tapes, these one venue, that the sample (rule 17)."""
    async with storage.pools.query() as connection:
        catalog = await read_catalog(connection)
    assert catalog.known_names() == [
        DEFAULT_FEED,
        "files/archive",
        "alpha_vantage/core",
        "yahoo/chart",
        "yahoo/stream",
        "alpaca/iex",
        "tiingo/iex",
        "sample/eod",
    ]
    assert [catalog.names[feed_id] for feed_id in (1, 2)] == ["manual/upload", "sample/eod"]
    upload, sample = catalog.find(DEFAULT_FEED), catalog.find("sample/eod")
    assert upload is not None
    assert sample is not None
    assert upload.rank > sample.rank
    assert catalog.find("nobody/nothing") is None
