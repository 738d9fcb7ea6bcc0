"""``marketdata company``: what is known of the company behind a symbol."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from marketdata.cli.connection import connected
from marketdata.cli.options import Address, AsJson
from marketdata.cli.output import OUT
from marketdata.cli.rows import RowForm, RowWriter, piped
from marketdata.client import Company
from marketdata.domain.symbol import BY_HAND

_FIELDS: Final = (
    "symbol", "symbol_id", "name", "sector", "industry", "employees", "market_cap", "currency",
    "shares_outstanding", "ipo_date", "as_of", "source", "updated",
)  # fmt: skip
_LABEL_WIDTH: Final = 12


def company(
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="Ticker, present or former")],
    *,
    as_json: AsJson = False,
    address: Address = None,
) -> None:
    """Show what a running service knows of the company behind a symbol.

    The figures hold for the day that stands with them, as ISO 8601; the market cap is in the currency
    that stands behind it. What is not known is left out.

    --json writes one object with every field: numbers in full precision, what is not known as null.

    Example: marketdata company AAPL

    Example: marketdata company AAPL --json
    """
    found = asyncio.run(_read(symbol, address))
    if as_json:
        with piped():
            RowWriter(RowForm.JSON, _FIELDS).write([_row(found)])
        return
    for label, text in _lines(found):
        # As Text: rich would take a name such as "Class A [/NV]" for markup, and fail.
        OUT.print(Text(f"{label:<{_LABEL_WIDTH}}{text}"), soft_wrap=True)


async def _read(symbol: str, address: str | None) -> Company:
    async with connected(address) as client:
        return await client.get_company(symbol)


def _row(found: Company) -> list[Any]:
    facts = asdict(found.facts)
    values = facts | {
        "symbol": found.symbol,
        "symbol_id": found.symbol_id,
        "ipo_date": found.facts.ipo_date and found.facts.ipo_date.isoformat(),
        "as_of": found.facts.as_of and found.facts.as_of.isoformat(),
        "source": found.source,
        "updated": found.updated and found.updated.isoformat(),
    }
    return [None if values[name] == "" else values[name] for name in _FIELDS]


def _lines(found: Company) -> list[tuple[str, str]]:
    facts = found.facts
    lines = [
        ("symbol", found.symbol),
        ("name", facts.name),
        ("sector", facts.sector),
        ("industry", facts.industry),
        ("listed", facts.ipo_date.isoformat() if facts.ipo_date else ""),
        ("employees", _number(facts.employees)),
        ("market cap", f"{_number(facts.market_cap)} {facts.currency}" if facts.market_cap else ""),
        ("shares", _number(facts.shares_outstanding)),
        ("as of", facts.as_of.isoformat() if facts.as_of else ""),
        ("source", found.source),
        ("by hand", _by_hand(found)),
        ("updated", f"{found.updated:%Y-%m-%d %H:%M:%S} UTC" if found.updated else ""),
    ]
    return [(label, text) for label, text in lines if text]


def _by_hand(found: Company) -> str:
    """Name the facts that people said, where providers told the rest."""
    said = [name for name, origin in found.origins.items() if origin.source == BY_HAND]
    return ", ".join(sorted(said)) if len(said) < len(found.origins) else ""


def _number(number: float | None) -> str:
    return "" if number is None else f"{number:,.0f}"
