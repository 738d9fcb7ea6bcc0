"""Commands whose output goes into a pipe: JSON, an object a line, and CSV."""

import asyncio
import csv
import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import pytest
from bifrost.marketdata.v1.symbol_pb2 import Symbol
from bifrost.marketdata.v1.symbol_service_pb2 import CreateSymbolRequest

from marketdata.client import MarketDataClient
from marketdata.domain.gaps import UNKNOWN
from marketdata.domain.symbol import NewSymbol, SymbolStatus
from marketdata.storage.embedded import ServerAddress
from tests.contract.commands import Commands
from tests.contract.known import Known
from tests.contract.service import CALL_SECONDS, Service

MAIN: Final = "from marketdata.cli.main import main; main()"


def objects(out: str) -> list[dict[str, Any]]:
    """Read an object a line."""
    return [json.loads(line) for line in out.splitlines()]


def cells(out: str) -> list[dict[str, str]]:
    """Read CSV."""
    return list(csv.DictReader(out.splitlines()))


async def test_bars_given_json_writes_every_bar(commands: Commands, known: Known) -> None:
    """All bars of the range instead of the last twenty, with every field."""
    commands.use_service(known.service.address)
    found = await commands.run("bars", "MSFT", "-t", "1m", "--json")
    assert (found.code, found.err) == (0, "")
    rows = objects(found.out)
    assert len(rows) == 390
    assert rows[0]["time"] == "2024-01-02T14:30:00Z"
    daily = objects((await commands.run("bars", "IBM", "AAPL", "-n", "1", "--json")).out)
    assert daily == [
        {
            "symbol": symbol, "time": time, "open": price + 1.0, "high": price + 3.0,
            "low": float(price), "close": price + 2.0, "volume": volume, "vwap": None,
            "trade_count": None, "feed": "manual/upload", "is_final": True, "is_derived": False,
            "is_extended": False, "revision": 0,
        }
        for symbol, time, price, volume in (
            ("IBM", "2024-01-06", 11, 300.0), ("AAPL", "2024-01-11", 18, 1_000.0)
        )
    ]  # fmt: skip


async def test_bars_given_csv_writes_a_header_and_the_same(commands: Commands, known: Known) -> None:
    """Both forms have the same fields and values; what is missing is empty."""
    commands.use_service(known.service.address)
    rows = cells((await commands.run("bars", "AAPL", "MSFT", "--csv")).out)
    same = objects((await commands.run("bars", "AAPL", "MSFT", "--json")).out)
    assert len(rows) == 20
    as_text = {True: "true", False: "false", None: ""}
    assert rows == [
        {k: as_text[v] if v is None or isinstance(v, bool) else str(v) for k, v in row.items()}
        for row in same
    ]


async def test_bars_given_no_bars_writes_an_empty_table(commands: Commands, known: Known) -> None:
    """A range without bars is a header without rows, not a message that a program would read."""
    commands.use_service(known.service.address)
    found = await commands.run("bars", "BRK.B", "--csv")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("symbol,time,open")
    assert cells(found.out) == []


@pytest.mark.parametrize("form", ["--json", "--csv"])
async def test_bars_given_pipe_and_an_unknown_symbol_writes_nothing(
    commands: Commands, known: Known, form: str
) -> None:
    """Nobody reads messages behind a pipe: what is mistyped must not be left out without a word."""
    commands.use_service(known.service.address)
    found = await commands.run("bars", "AAPL", "NOPE", form)
    assert (found.code, found.out) == (1, "")
    assert "NOPE: no such symbol is known" in found.err


async def test_bars_given_table_and_an_unknown_symbol_says_so(commands: Commands, known: Known) -> None:
    """A person gets the rest, and is told what is not in it."""
    commands.use_service(known.service.address)
    found = await commands.run("bars", "AAPL", "NOPE", "-n", "1")
    assert found.code == 0
    assert [row[0] for row in found.table()] == ["AAPL"]
    assert "NOPE" in found.err


@pytest.mark.usefixtures("commands")  # for an environment without the machine's settings
async def test_bars_given_reader_that_has_enough_ends_quietly(known: Known) -> None:
    """As with `| head`: more than a pipe holds is left, and nothing is said on standard error."""
    arguments = ("bars", "MSFT", "-t", "1m", "--json", "--address", known.service.address)
    assert await asyncio.to_thread(_read_a_little, arguments) == (b"{", 0, b"")


def _read_a_little(arguments: Sequence[str]) -> tuple[bytes, int, bytes]:
    command = [sys.executable, "-c", MAIN, *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.read(1)
        process.stdout.close()
        return first, process.wait(CALL_SECONDS), process.stderr.read()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["bars", "AAPL", "--json", "--csv"], "--json and --csv"),
        (["bars", "AAPL", "--plot", "--csv"], "--plot and --csv"),
        (["symbols", "--json", "--csv"], "--json and --csv"),
        (["coverage", "AAPL", "--json", "--csv"], "--json and --csv"),
        (["bars", "AAPL", "IBM", "--plot"], "--plot draws one symbol"),
    ],
)
async def test_command_given_options_that_exclude_each_other_says_which(
    commands: Commands, arguments: list[str], named: str
) -> None:
    """A mistake of usage, noticed before any service is asked."""
    found = await commands.run(*arguments)
    assert (found.code, found.out) == (2, "")
    assert named in found.err


async def test_symbols_given_forms_writes_every_field(commands: Commands, service: Service) -> None:
    """Names of any kind, dates as ISO 8601, null where nothing is known."""
    symbol = Symbol(symbol="IBM", name='A, "B" [/x] Söhne', ipo_date="1962-01-02")
    await service.symbols.CreateSymbol(CreateSymbolRequest(symbol=symbol))
    commands.use_service(service.address)
    (row,) = objects((await commands.run("symbols", "--json")).out)
    assert (row["symbol"], row["name"], row["ipo_date"]) == ("IBM", symbol.name, "1962-01-02")
    assert (row["tick_size"], row["valid_to"], row["provider_symbols"]) == (None, None, {})
    (line,) = cells((await commands.run("symbols", "--csv")).out)
    assert list(line) == list(row)
    assert (line["name"], line["tick_size"]) == (symbol.name, "")


async def test_symbols_given_a_delisted_one_says_who_said_so_and_since_when(
    commands: Commands, service: Service
) -> None:
    """People see the day, pipes the evidence; a client says both in UpdateSymbol."""
    await service.symbols.CreateSymbol(CreateSymbolRequest(symbol=Symbol(symbol="TWTR")))
    async with MarketDataClient(service.address) as client:
        delisted = await client.update_symbol(
            "TWTR",
            NewSymbol("TWTR", status=SymbolStatus.DELISTED),
            ["status"],
            status_day=date(2022, 10, 28),
            status_reason="bought",
        )
    assert delisted.status_evidence is not None
    assert delisted.status_evidence.text == "bought"
    commands.use_service(service.address)
    (row,) = objects((await commands.run("symbols", "--json")).out)
    assert (row["status"], row["status_source"]) == ("delisted", "manual")
    assert (row["status_day"], row["status_reason"]) == ("2022-10-28", "bought")
    assert row["status_noted"].endswith("+00:00")
    assert "delisted 2022-10-28" in (await commands.run("symbols")).out


async def test_symbols_given_none_and_a_pipe_writes_an_empty_table(
    commands: Commands, service: Service
) -> None:
    """No message, no rows."""
    commands.use_service(service.address)
    assert (await commands.run("symbols", "--json")).out == ""
    assert cells((await commands.run("symbols", "--csv")).out) == []


async def test_coverage_given_csv_writes_sessions_or_gaps(commands: Commands, known: Known) -> None:
    """A row a session of the range, or a row a gap with its end exclusive."""
    commands.use_service(known.service.address)
    within = ("--start", "2024-01-02", "--end", "2024-01-08")
    sessions = cells((await commands.run("coverage", "IBM", *within, "--csv")).out)
    assert [(row["session_date"], row["present_count"]) for row in sessions] == [
        ("2024-01-02", "0"), ("2024-01-03", "0"), ("2024-01-04", "1"), ("2024-01-05", "1"),
    ]  # fmt: skip
    assert [row["reason"] for row in sessions] == ["missing", "missing", "", ""]
    assert {(row["quarantined_count"], row["derived_count"]) for row in sessions} == {("0", "0")}
    (gap,) = objects((await commands.run("coverage", "IBM", *within, "--json", "--rows", "gaps")).out)
    assert gap == {
        "symbol": "IBM", "timeframe": "1d", "start_time": "2024-01-02", "end_time": "2024-01-04",
        "missing_count": 2, "reason": "missing", "provider": None, "retry_time": None,
        "message": UNKNOWN.message,
    }  # fmt: skip


async def test_coverage_given_minutes_writes_instants(commands: Commands, known: Known) -> None:
    """Gaps of intraday bars are told by instants in UTC."""
    commands.use_service(known.service.address)
    within = ("--start", "2024-01-02T20:00:00", "--end", "2024-01-04")
    found = await commands.run("coverage", "MSFT", "-t", "1m", *within, "--json", "--rows", "gaps")
    (gap,) = objects(found.out)
    assert (gap["start_time"], gap["end_time"]) == ("2024-01-03T14:30:00Z", "2024-01-03T21:00:00Z")
    assert gap["missing_count"] == 390


async def test_doctor_given_json_writes_the_findings(
    commands: Commands, database: ServerAddress
) -> None:
    """What is wrong is in the rows and in the exit code."""
    commands.use_database(database)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        commands.use(MARKETDATA_PORT=bound.getsockname()[1])
        found = await commands.run("doctor", "--json")
    assert found.code == 1
    assert [(row["what"], row["state"]) for row in objects(found.out)] == [
        ("settings", "ok"), ("database", "ok"), ("log", "ok"), ("service", "problem"),
    ]  # fmt: skip
