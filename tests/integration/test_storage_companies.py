"""Companies: facts stored, changed one by one, and gone with their symbol."""

import asyncio
from dataclasses import asdict, replace
from datetime import date
from typing import Any, Final

import pytest

from marketdata.domain.company import Company, CompanyFacts
from marketdata.domain.symbol import NewSymbol, SymbolUpdate
from marketdata.domain.symbol_query import SymbolQuery
from marketdata.errors import CompanyNotFoundError, SymbolNotFoundError
from tests.support.rows import changes, fetch
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

FACTS: Final = CompanyFacts(
    name="Apple Inc.",
    sector="Technology",
    industry="Consumer Electronics",
    employees=164_000,
    market_cap=3_012_345_678_900.25,
    shares_outstanding=15_204_137_000.0,
    currency="USD",
    ipo_date=date(1980, 12, 12),
    as_of=date(2026, 9, 30),
)
OTHER: Final = CompanyFacts(
    name="Apple AG",
    sector="Energy",
    industry="Oil",
    employees=0,
    market_cap=1.5,
    shares_outstanding=2.5,
    currency="EUR",
    ipo_date=date(1999, 1, 4),
    as_of=date(2000, 1, 3),
)
FIELDS: Final = tuple(CompanyFacts.__dataclass_fields__)


async def test_update_given_facts_of_a_new_company_stores_them(storage: Storage) -> None:
    """What is said is what is read, with who said it and when by the clock of the database."""
    await create_symbols(storage, "AAPL")
    stored = await storage.companies.update("AAPL", asdict(FACTS))
    identity = await storage.symbols.get("AAPL")
    assert (stored.symbol, stored.symbol_id) == ("AAPL", identity.symbol_id)
    assert (stored.facts, stored.source) == (FACTS, "manual")
    assert await fetch(
        storage,
        "SELECT updated_at, updated_at <= clock_timestamp()"
        " AND updated_at > clock_timestamp() - interval '1 minute' FROM market_stock",
    ) == [(stored.updated, True)]
    assert await storage.companies.get("AAPL") == stored


@pytest.mark.parametrize("field", FIELDS)
async def test_update_given_one_fact_changes_only_that(storage: Storage, field: str) -> None:
    """Every other one stays as it was, and the time of the change moves on."""
    await create_symbols(storage, "AAPL")
    before = await storage.companies.update("AAPL", asdict(FACTS))
    new = getattr(OTHER, field)
    after = await storage.companies.update("AAPL", {field: new})
    assert after.facts == replace(FACTS, **{field: new})
    assert before.updated is not None
    assert after.updated is not None
    assert after.updated > before.updated
    assert await storage.companies.get("AAPL") == after


@pytest.mark.parametrize("field", FIELDS)
async def test_update_given_nothing_for_a_fact_clears_it(storage: Storage, field: str) -> None:
    """What was known and is not any more."""
    await create_symbols(storage, "AAPL")
    await storage.companies.update("AAPL", asdict(FACTS))
    nothing = getattr(CompanyFacts(), field)
    await storage.companies.update("AAPL", {field: nothing})
    assert (await storage.companies.get("AAPL")).facts == replace(FACTS, **{field: nothing})


async def test_update_given_change_appends_to_the_log_and_the_same_again_does_not(
    storage: Storage,
) -> None:
    """Lists of symbols are answered by companies: the log says whose answers changed, once."""
    await create_symbols(storage, "AAPL")
    first = await storage.companies.update("AAPL", asdict(FACTS))
    assert await storage.companies.update("AAPL", asdict(FACTS)) == first
    assert await storage.companies.update("AAPL", {"sector": FACTS.sector}) == first
    assert [(change.kind, change.symbols) for change in await changes(storage, after_seq=1)] == [
        ("symbol", ("AAPL",))
    ]
    assert await fetch(storage, "SELECT reason FROM bar_change ORDER BY write_id DESC LIMIT 1") == [
        ("UpdateCompany of AAPL",)
    ]


async def test_update_given_last_fact_cleared_knows_nothing_again(storage: Storage) -> None:
    """A company without any fact is not stored, and clearing it again changes nothing."""
    await create_symbols(storage, "AAPL")
    await storage.companies.update("AAPL", {"sector": "Technology", "employees": 0})
    await storage.companies.update("AAPL", {"sector": ""})
    assert (await storage.companies.get("AAPL")).facts == CompanyFacts(employees=0)
    cleared = await storage.companies.update("AAPL", {"employees": None})
    symbol_id = (await storage.symbols.get("AAPL")).symbol_id
    assert cleared == Company("AAPL", symbol_id, CompanyFacts())
    assert await storage.companies.update("AAPL", {"name": ""}) == cleared
    assert await fetch(storage, "SELECT count(*) FROM market_stock") == [(0,)]
    assert len(await changes(storage)) == 4


async def test_get_given_unknown_symbol_and_unknown_company_tells_them_apart(
    storage: Storage,
) -> None:
    """The one is created, the other told."""
    await create_symbols(storage, "AAPL")
    for call in (storage.companies.get("NOPE"), storage.companies.update("NOPE", {"name": "x"})):
        with pytest.raises(SymbolNotFoundError, match=r"NOPE is not known.*CreateSymbol"):
            await call
    with pytest.raises(CompanyNotFoundError, match=r"company of AAPL; UpdateCompany") as caught:
        await storage.companies.get("AAPL")
    assert caught.value.metadata == {"symbol": "AAPL"}


async def test_get_given_former_ticker_finds_the_company_of_the_identity(storage: Storage) -> None:
    """A rename leaves the facts; a company that takes the ticker does not get them."""
    await create_symbols(storage, "FB")
    await storage.companies.update("FB", {"name": "Meta"})
    await storage.symbols.update("FB", SymbolUpdate({"symbol": "META"}, date(2022, 6, 9)))
    found = await storage.companies.get("FB")
    assert (found.symbol, found.facts.name) == ("META", "Meta")
    assert (await storage.companies.update("FB", {"sector": "Media"})).facts.name == "Meta"
    assert (await changes(storage))[-1].symbols == ("META",)
    await storage.symbols.create(NewSymbol("FB", valid_from=date(2023, 7, 3)))
    with pytest.raises(CompanyNotFoundError):
        await storage.companies.get("FB")


async def test_update_given_different_facts_at_once_keeps_all(storage: Storage) -> None:
    """Nobody's change is lost under another's, the first ones included; each has its entry."""
    await create_symbols(storage, "AAPL")
    for facts in (FACTS, OTHER):
        updates = [storage.companies.update("AAPL", {name: getattr(facts, name)}) for name in FIELDS]
        await asyncio.gather(*updates)
        assert (await storage.companies.get("AAPL")).facts == facts
    assert len(await changes(storage)) == 1 + 2 * len(FIELDS)


async def test_update_given_the_same_at_once_does_it_once(storage: Storage) -> None:
    """A call that was sent twice changes, and finds it done."""
    await create_symbols(storage, "AAPL")
    first, *rest = await asyncio.gather(
        *(storage.companies.update("AAPL", asdict(FACTS)) for _ in range(6))
    )
    assert all(company == first for company in rest)
    assert len(await changes(storage)) == 2


async def test_delete_given_symbol_with_a_company_takes_it_along(storage: Storage) -> None:
    """The next symbol of that ticker begins without facts; another symbol's stay."""
    await create_symbols(storage, "AAPL", "IBM")
    for symbol in ("AAPL", "IBM"):
        await storage.companies.update(symbol, {"sector": "Technology"})
    await storage.symbol_deleter.delete("AAPL", force=False)
    with pytest.raises(SymbolNotFoundError):
        await storage.companies.get("AAPL")
    await create_symbols(storage, "AAPL")
    with pytest.raises(CompanyNotFoundError):
        await storage.companies.get("AAPL")
    assert (await storage.companies.get("IBM")).facts.sector == "Technology"


async def test_delete_given_update_at_once_leaves_nothing_behind(storage: Storage) -> None:
    """Whichever comes first, no facts are left of a symbol that is gone."""
    for number in range(10):
        symbol = f"S{number}"
        await create_symbols(storage, symbol)
        updated, deleted = await asyncio.gather(
            storage.companies.update(symbol, asdict(FACTS)),
            storage.symbol_deleter.delete(symbol, force=False),
            return_exceptions=True,
        )
        assert isinstance(updated, (Company, SymbolNotFoundError))
        assert deleted == 0
    assert await fetch(storage, "SELECT count(*) FROM market_stock") == [(0,)]


@pytest.mark.parametrize(
    ("sector", "expected"),
    [("Technology", ["AAPL", "IBM"]), ("technology", ["C"]), ("Tech%", [])],
)
async def test_list_page_given_sector_lists_its_companies(
    storage: Storage, sector: str, expected: list[str]
) -> None:
    """The same characters in the same case; a symbol without a company is of no sector."""
    await create_symbols(storage, "AAPL", "C", "IBM", "NONE")
    sectors: dict[str, Any] = {"AAPL": "Technology", "C": "technology", "IBM": "Technology"}
    for symbol, name in sectors.items():
        await storage.companies.update(symbol, {"sector": name})
    found = await storage.symbols.list_page(None, 10, SymbolQuery(sector=sector))
    assert [symbol.symbol for symbol in found] == expected
