"""The commands, as their entry point runs them, beside a service and a database that are given."""

import socket
from typing import Final

import pytest
from bifrost.marketdata.v1.symbol_pb2 import Symbol
from bifrost.marketdata.v1.symbol_service_pb2 import CreateSymbolRequest

from marketdata.storage.embedded import ServerAddress
from tests.contract.commands import Commands
from tests.contract.known import Known
from tests.contract.service import Service, state
from tests.support.databases import Databases, connected

SAMPLE_BARS: Final = {"AAPL": 3_270, "FB": 196, "GOOG": 2_148, "IBM": 3_270, "MSFT": 3_270}


async def test_bars_given_service_prints_the_last_ones(commands: Commands, known: Known) -> None:
    """A plain table on standard output: the last bars of each symbol, session dates, the feed."""
    found = await commands.run("bars", "AAPL", "IBM", "-n", "2", "--address", known.service.address)
    assert (found.code, found.err) == (0, "")
    assert found.table() == [
        ["AAPL", "2024-01-10", "18.00", "20.00", "17.00", "19.00", "900", "manual/upload"],
        ["AAPL", "2024-01-11", "19.00", "21.00", "18.00", "20.00", "1,000", "manual/upload"],
        ["IBM", "2024-01-05", "11.00", "13.00", "10.00", "12.00", "200", "manual/upload"],
        ["IBM", "2024-01-06", "12.00", "14.00", "11.00", "13.00", "300", "manual/upload"],
    ]


async def test_bars_given_range_is_half_open(commands: Commands, known: Known) -> None:
    """Start and end are UTC; the end is not in."""
    commands.use_service(known.service.address)
    found = await commands.run("bars", "AAPL", "--start", "2024-01-03", "--end", "2024-01-05")
    assert [row[1] for row in found.table()] == ["2024-01-03", "2024-01-04"]


async def test_bars_given_minutes_prints_times(commands: Commands, known: Known) -> None:
    """Bars within a day have the time of their open."""
    commands.use_service(known.service.address)
    found = await commands.run("bars", "MSFT", "--timeframe", "1m", "--last", "1")
    assert found.table()[0][:3] == ["MSFT", "2024-01-02", "20:59"]


async def test_bars_given_none_in_the_range_says_so(commands: Commands, known: Known) -> None:
    """An empty answer is no failure; what is for people goes to standard error."""
    found = await commands.run("bars", "BRK.B", "--address", known.service.address)
    assert (found.code, found.out) == (0, "")
    assert "No 1d bars of BRK.B" in found.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["NOPE"], "NOPE: no such symbol is known\nmarketdata symbols lists those that are known."),
        (["aapl"], "symbols[0]: is not a ticker"),
        (["AAPL", "AAPL"], "symbols[1]: repeats symbols[0]"),
        (["AAPL", "--start", "2024-02-01", "--end", "2024-01-01"], "[start_time, end_time)"),
    ],
)
async def test_bars_given_request_that_is_refused_says_why(
    commands: Commands, known: Known, arguments: list[str], message: str
) -> None:
    """The service's own words, on standard error, brackets and all; the exit code is 1."""
    found = await commands.run("bars", *arguments, "--address", known.service.address)
    assert (found.code, found.out) == (1, "")
    assert found.err.startswith("error: ")
    assert message in found.err
    assert "Traceback" not in found.err


@pytest.mark.parametrize(
    "arguments", [["bars"], ["bars", "AAPL", "-n", "0"], ["bars", "AAPL", "-t", "2d"], ["nothing"]]
)
async def test_command_given_wrong_arguments_shows_its_usage(
    commands: Commands, arguments: list[str]
) -> None:
    """A mistake in the command itself is told apart: exit code 2."""
    found = await commands.run(*arguments)
    assert found.code == 2
    assert "Usage" in found.err


async def test_symbols_given_service_lists_them(commands: Commands, service: Service) -> None:
    """One line a symbol, whatever characters its name has."""
    for symbol in (
        Symbol(symbol="IBM", name="Class A [/NV] & [bold]Söhne", ipo_date="1962-01-02"),
        Symbol(symbol="AAPL", venue="XNAS"),
    ):
        await service.symbols.CreateSymbol(CreateSymbolRequest(symbol=symbol))
    found = await commands.run("symbols", "--address", service.address)
    assert (found.code, found.err) == (0, "")
    assert found.table() == [
        ["AAPL", "XNAS", "USD", "equity", "active"],
        [
            "IBM",
            "Class",
            "A",
            "[/NV]",
            "&",
            "[bold]Söhne",
            "XNYS",
            "USD",
            "equity",
            "active",
            "1962-01-02",
        ],
        ["2", "symbols"],
    ]


async def test_symbols_given_none_says_how_to_get_some(commands: Commands, service: Service) -> None:
    """An empty service is no failure, and the way on is told."""
    found = await commands.run("symbols", "--address", service.address)
    assert (found.code, found.out) == (0, "")
    assert "marketdata import sample" in found.err


async def test_symbols_given_no_service_says_how_to_start_one(commands: Commands) -> None:
    """Where nothing answers the command says so, and what to do, and fails."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        commands.use(MARKETDATA_PORT=bound.getsockname()[1])
        found = await commands.run("symbols")
    assert (found.code, found.out) == (1, "")
    assert found.err.startswith("error: ")
    assert "scripts/serve" in found.err


async def test_migrate_given_empty_database_applies_all_and_then_none(
    commands: Commands, databases: Databases
) -> None:
    """The second time there is nothing to do, and it says so."""
    database = databases.empty()
    commands.use_database(database)
    first = await commands.run("migrate")
    assert first.code == 0
    assert first.out.splitlines()[0] == "applied 0001 spine"
    assert "migrations applied" in first.out
    second = await commands.run("migrate")
    assert (second.code, second.out) == (0, "The schema is up to date.\n")
    databases.drop(database)


async def test_migrate_given_database_of_a_later_release_refuses_it(
    commands: Commands, database: ServerAddress
) -> None:
    """A schema that this release does not know is left alone."""
    commands.use_database(database)
    with connected(database) as connection:
        connection.execute(
            "INSERT INTO schema_migration (number, title, checksum) VALUES (9999, 'later', '')"
        )
    found = await commands.run("migrate")
    assert found.code == 1
    assert "9999" in found.err
    assert "later one" in found.err


async def test_import_sample_given_second_run_changes_nothing(
    commands: Commands, database: ServerAddress
) -> None:
    """The five stocks come in whole; again, every bar is as it was and nothing is written."""
    commands.use_database(database)
    first = await commands.run("import", "sample")
    assert (first.code, first.err) == (0, "")
    assert {row[0]: row[1:5] for row in first.table()} == {
        symbol: [str(count), "0", "0", "0"] for symbol, count in SAMPLE_BARS.items()
    }
    before = state(database)
    second = await commands.run("import", "sample")
    assert second.code == 0
    assert {row[0]: row[1:] for row in second.table()} == {
        symbol: ["0", str(count), "0", "0", "0"] for symbol, count in SAMPLE_BARS.items()
    }
    assert state(database) == before


@pytest.mark.modes("plain", reason="it tells the mode")
async def test_doctor_given_all_well_says_ok(
    commands: Commands, service: Service, database: ServerAddress
) -> None:
    """Settings, database, change log and service, a line each; nothing wrong is exit code 0."""
    commands.use_database(database)
    commands.use_service(service.address)
    found = await commands.run("doctor")
    assert found.code == 0
    assert [row[:2] for row in found.table()] == [
        ["settings", "ok"],
        ["database", "ok"],
        ["log", "ok"],
        ["service", "ok"],
    ]
    assert "storage mode plain" in found.out
    assert f"{service.address} says SERVING" in found.out
    assert database.password not in found.out + found.err


async def test_doctor_given_everything_wrong_says_each(
    commands: Commands, databases: Databases
) -> None:
    """A schema that is behind and a service that does not answer are two findings, and exit code 1."""
    database = databases.empty()
    commands.use_database(database)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        commands.use(MARKETDATA_PORT=bound.getsockname()[1])
        found = await commands.run("doctor")
    databases.drop(database)
    assert found.code == 1
    assert [row[:2] for row in found.table() if row[1:2] in (["ok"], ["problem"])] == [
        ["settings", "ok"],
        ["database", "problem"],
        ["service", "problem"],
    ]
    assert "run marketdata migrate" in found.out
    assert "nothing answers" in found.out


async def test_doctor_given_database_that_is_down_says_so(
    commands: Commands, database: ServerAddress, service: Service
) -> None:
    """A database that does not answer is a finding, not the end of the examination."""
    commands.use_database(database)
    commands.use_service(service.address)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        commands.use(DB_PORT=bound.getsockname()[1])
        found = await commands.run("doctor")
    assert found.code == 1
    assert "cannot be reached" in found.out
    assert "says SERVING" in found.out


async def test_command_given_wrong_settings_lists_them_without_values(commands: Commands) -> None:
    """Every wrong setting is named at once; what stands in them can be a secret."""
    commands.use(DB_PORT="s3cret", MARKETDATA_PORT="99999", MARKETDATA_LOG_LEVEL="LOUD")
    found = await commands.run("symbols")
    assert found.code == 1
    for name in ("DB_PORT", "MARKETDATA_PORT", "MARKETDATA_LOG_LEVEL"):
        assert name in found.err
    for value in ("s3cret", "99999", "LOUD"):
        assert value not in found.err
