"""Commands on a data folder that no service runs on: they start PostgreSQL, and stop it after."""

from pathlib import Path
from typing import Final

from tests.acceptance.processes import Outcome, marketdata, runs_postgres, taken_port

SAMPLE_BARS: Final = {"AAPL": 3_270, "FB": 196, "GOOG": 2_148, "IBM": 3_270, "MSFT": 3_270}
# 52 dividends of IBM, 37 of MSFT and its split, 3 of AAPL and its two splits, GOOG and FB none.
SAMPLE_ACTIONS: Final = {"AAPL": 5, "FB": 0, "GOOG": 0, "IBM": 52, "MSFT": 38}


def test_import_given_nothing_makes_the_database_and_loads_it(
    first_import: tuple[Path, Outcome],
) -> None:
    """From an empty folder: database, schema, five stocks; PostgreSQL is stopped at the end."""
    folder, found = first_import
    assert found.code == 0
    assert {row[0]: row[1:] for row in found.table()} == {
        symbol: [str(count), "0", "0", "0", str(SAMPLE_ACTIONS[symbol])]
        for symbol, count in SAMPLE_BARS.items()
    }
    assert not runs_postgres(folder)
    assert (folder / "password").read_text().strip() not in found.out + found.err


def test_import_given_second_run_changes_nothing(sample_folder: Path) -> None:
    """What is there stays as it is."""
    found = marketdata(sample_folder, "import", "sample")
    assert found.code == 0
    assert {row[0]: row[1:] for row in found.table()} == {
        symbol: ["0", str(count), "0", "0", "0"] for symbol, count in SAMPLE_BARS.items()
    }
    assert not runs_postgres(sample_folder)


def test_migrate_given_new_folder_applies_the_schema(empty_folder: Path) -> None:
    """The first run makes everything, the second finds nothing to do; neither leaves a server."""
    first = marketdata(empty_folder, "migrate")
    assert first.code == 0
    assert first.out.splitlines()[0] == "applied 0001 spine"
    assert not runs_postgres(empty_folder)
    second = marketdata(empty_folder, "migrate")
    assert (second.code, second.out) == (0, "The schema is up to date.\n")
    assert not runs_postgres(empty_folder)


def test_doctor_given_no_service_says_what_starts_one(sample_folder: Path) -> None:
    """Nothing is started to look: what does not run is a finding, and the exit code is 1."""
    with taken_port() as port:  # taken by a program that does not speak gRPC
        found = marketdata(sample_folder, "doctor", MARKETDATA_PORT=port)
    assert (found.code, found.err) == (1, "")
    rows = [row for row in found.table() if row[:1] in (["settings"], ["database"], ["service"])]
    assert [row[1] for row in rows] == ["ok", "problem", "problem"]
    assert "scripts/serve" in found.out
    assert not runs_postgres(sample_folder)


def test_log_given_no_service_shows_it_and_refuses_to_follow(sample_folder: Path) -> None:
    """What is stored is read from the database; nothing can come, and no service is kept from it."""
    shown = marketdata(sample_folder, "log", "tail", "--from", "1")
    assert (shown.code, shown.err) == (0, "")
    assert "AAPL" in shown.out
    refused = marketdata(sample_folder, "log", "tail", "--follow")
    assert (refused.code, refused.out) == (1, "")
    assert "start it with scripts/serve, or leave out --follow" in refused.err
    assert not runs_postgres(sample_folder)


def test_symbols_given_no_service_says_how_to_start_one(sample_folder: Path) -> None:
    """Reads need a service: without one they say so on standard error, and fail."""
    found = marketdata(sample_folder, "symbols", "--address", "127.0.0.1:1")
    assert (found.code, found.out) == (1, "")
    assert "Is the service running? scripts/serve starts it" in found.err
    assert "Traceback" not in found.err
