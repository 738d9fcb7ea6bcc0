"""``marketdata symbols``: the symbols of a running service."""

import asyncio
from typing import Annotated, Any, Final

import typer

from marketdata.cli.connection import connected
from marketdata.cli.options import Address, AsCsv, AsJson, refuse_several
from marketdata.cli.output import ERR, OUT, print_table
from marketdata.cli.rows import RowForm, RowWriter, piped
from marketdata.domain.symbol import Symbol

_FIELDS: Final = (
    "symbol", "symbol_id", "name", "venue", "currency", "asset_class", "status", "calendar",
    "time_zone", "tick_size", "ipo_date", "valid_from", "valid_to", "provider_symbols",
    "status_source", "status_day", "status_reason", "status_noted",
)  # fmt: skip
# Rows that are written at once: the service sends as many a page.
_ROWS_AT_ONCE: Final = 1_000


def symbols(
    *,
    sector: Annotated[
        str, typer.Option(metavar="NAME", help="Only companies of it, spelled as stored (default: all)")
    ] = "",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    address: Address = None,
) -> None:
    """List the symbols of a running service.

    Dates are ISO 8601; valid_from is the first session during which the ticker names the symbol, and
    valid_to the first one during which it no longer does.

    --json writes an object a line, --csv a header and a line a symbol, both with every field; what is
    missing is null, in CSV empty. status_source says who stated the status, a provider or manual, with
    the day on which it began and why.

    Example: marketdata symbols

    Example: marketdata symbols --sector Technology

    Example: marketdata symbols --json | grep XNAS
    """
    refuse_several({"--json": as_json, "--csv": as_csv})
    form = RowForm.chosen(as_json=as_json, as_csv=as_csv)
    if form is not None:
        with piped():
            asyncio.run(_write(address, sector, form))
        return
    found = asyncio.run(_read(address, sector))
    if not found and sector:
        ERR.print(f"The service knows no company of the sector {sector!r}.", markup=False)
        return
    if not found:
        ERR.print("The service has no symbols yet. Try: marketdata import sample")
        return
    headings = ["symbol", "name", "venue", "currency", "asset class", "status", "listed"]
    rows = [_table_row(symbol) for symbol in found]
    spare = ("listed", "asset class", "status", "currency", "venue")
    print_table(headings, rows, wide="name", numbers_from=len(headings), spare=spare)
    OUT.print(f"{len(found)} symbol{'s' if len(found) > 1 else ''}")


async def _read(address: str | None, sector: str) -> list[Symbol]:
    async with connected(address) as client:
        return [symbol async for symbol in client.list_symbols(sector=sector)]


async def _write(address: str | None, sector: str, form: RowForm) -> None:
    rows: RowWriter | None = None
    page: list[tuple[Any, ...]] = []
    async with connected(address) as client:
        async for symbol in client.list_symbols(sector=sector):
            # Not before there is an answer: a call that fails writes nothing.
            rows = rows or RowWriter(form, _FIELDS)
            page.append(_row(symbol))
            if len(page) == _ROWS_AT_ONCE:
                rows.write(page)
                page.clear()
    (rows or RowWriter(form, _FIELDS)).write(page)


def _row(symbol: Symbol) -> tuple[Any, ...]:
    return (
        symbol.symbol,
        symbol.symbol_id,
        symbol.name or None,
        symbol.venue,
        symbol.currency,
        symbol.asset_class.value,
        symbol.status.value,
        symbol.calendar,
        symbol.time_zone,
        symbol.tick_size,
        *(day and day.isoformat() for day in (symbol.ipo_date, symbol.valid_from, symbol.valid_to)),
        dict(symbol.provider_symbols),
        *_evidence(symbol),
    )


def _evidence(symbol: Symbol) -> tuple[str | None, ...]:
    evidence = symbol.status_evidence
    if evidence is None:
        return (None,) * 4
    day = evidence.day.isoformat() if evidence.day else None
    noted = evidence.noted.isoformat() if evidence.noted else None
    return evidence.source, day, evidence.text or None, noted


def _table_row(symbol: Symbol) -> list[str]:
    return [
        symbol.symbol,
        symbol.name,
        symbol.venue,
        symbol.currency,
        symbol.asset_class.value,
        _status(symbol),
        symbol.ipo_date.isoformat() if symbol.ipo_date else "",
    ]


def _status(symbol: Symbol) -> str:
    evidence = symbol.status_evidence
    day = evidence.day if evidence is not None else None
    return f"{symbol.status.value} {day}" if day is not None else symbol.status.value
