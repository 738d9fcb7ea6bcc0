"""``marketdata company``, and ``marketdata symbols --sector``."""

import json
from typing import Any, Final

from tests.contract.commands import Commands
from tests.contract.service import Service
from tests.contract.symbol_calls import create, update_company

FACTS: Final[dict[str, Any]] = {
    "name": "Class A [/NV] & [bold]Söhne " + "with a name that no terminal has room for " * 4,
    "sector": "Technology",
    "employees": 164_000,
    "market_cap": 3_012_345_678_900.75,
    "currency": "USD",
    "ipo_date": "1980-12-12",
    "as_of": "2026-09-30",
}


async def test_company_given_facts_prints_a_line_each(commands: Commands, service: Service) -> None:
    """What is known, rounded for people; whatever characters a name has, and nothing for the rest."""
    await create(service, "AAPL")
    await update_company(service, "AAPL", list(FACTS), **FACTS)
    found = await commands.run("company", "AAPL", "--address", service.address)
    assert (found.code, found.err) == (0, "")
    *lines, updated = found.out.splitlines()
    assert lines == [
        "symbol      AAPL",
        f"name        {FACTS['name']}",
        "sector      Technology",
        "listed      1980-12-12",
        "employees   164,000",
        "market cap  3,012,345,678,901 USD",
        "as of       2026-09-30",
        "source      manual",
    ]
    assert updated.startswith("updated     20")
    assert updated.endswith(" UTC")


async def test_company_given_json_writes_every_field(commands: Commands, service: Service) -> None:
    """One object a line, numbers in full precision, null where nothing is known."""
    created = await create(service, "AAPL")
    await update_company(service, "AAPL", list(FACTS), **FACTS)
    commands.use_service(service.address)
    (line,) = (await commands.run("company", "AAPL", "--json")).out.splitlines()
    row = json.loads(line)
    assert row.pop("updated").endswith("+00:00")
    assert row == FACTS | {
        "symbol": "AAPL",
        "symbol_id": created.symbol_id,
        "industry": None,
        "shares_outstanding": None,
        "source": "manual",
    }


async def test_company_given_nothing_known_says_so(commands: Commands, service: Service) -> None:
    """An unknown company and an unknown symbol end with exit code 1, each in words of its own."""
    await create(service, "AAPL")
    commands.use_service(service.address)
    unknown = await commands.run("company", "AAPL", "--json")
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.err.startswith("error: nothing is known of the company of AAPL")
    nobody = await commands.run("company", "NOPE")
    assert (nobody.code, nobody.out) == (1, "")
    assert "marketdata symbols lists those that are known." in nobody.err


async def test_symbols_given_sector_lists_its_companies(commands: Commands, service: Service) -> None:
    """Only they, for people and for pipes; of a sector that nobody has, it says so."""
    for symbol, sector in (("AAPL", "Technology"), ("XOM", "Energy"), ("^GSPC", "")):
        await create(service, symbol)
        if sector:
            await update_company(service, symbol, ["sector"], sector=sector)
    commands.use_service(service.address)
    listed = await commands.run("symbols", "--sector", "Technology")
    assert [row[0] for row in listed.table()] == ["AAPL", "1"]
    piped = await commands.run("symbols", "--sector", "Energy", "--json")
    assert [json.loads(line)["symbol"] for line in piped.out.splitlines()] == ["XOM"]
    none = await commands.run("symbols", "--sector", "[/red]")
    assert (none.code, none.out) == (0, "")
    assert "no company of the sector '[/red]'" in none.err
