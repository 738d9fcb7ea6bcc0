"""MARKETDATA_STORAGE_MODE asks for what a database is not: refused in words, and nothing is made."""

from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.given import SETTLERS, GivenServers, applied, settings_of
from tests.acceptance.processes import marketdata

# By the server that is given: what is asked of its empty database, and what is said.
REFUSALS: Final = [
    ("plain", "apache", "the server has no TimescaleDB: install it, or set plain"),
    ("plain", "timescale", "the server has no TimescaleDB: install it, or set plain"),
    ("apache", "timescale", "timescaledb.license makes it apache: change the licence, or the setting"),
    (
        "timescale",
        "apache",
        "timescaledb.license makes it timescale: change the licence, or the setting",
    ),
    ("unloaded", "apache", "add it to shared_preload_libraries and restart, or set plain"),
]


@pytest.mark.parametrize("command", SETTLERS)
@pytest.mark.parametrize(("server", "mode", "told"), REFUSALS)
def test_start_given_a_mode_that_the_server_cannot_refuses_and_makes_nothing(
    given: GivenServers, empty_folder: Path, server: str, mode: str, told: str, command: str
) -> None:
    """One line says what was asked, what is there and what to do; no table was made."""
    address = given.empty(server)
    found = marketdata(empty_folder, command, MARKETDATA_STORAGE_MODE=mode, **settings_of(address))
    assert found.code == 1
    assert f"MARKETDATA_STORAGE_MODE is {mode}, but " in found.err
    assert told in found.err
    assert "Traceback" not in found.err
    assert applied(address) == []


@pytest.mark.parametrize("command", SETTLERS)
@pytest.mark.parametrize(("stored", "asked"), [("plain", "apache"), ("apache", "plain")])
def test_start_given_another_mode_than_the_bars_are_stored_in_refuses_and_changes_nothing(
    given: GivenServers, empty_folder: Path, stored: str, asked: str, command: str
) -> None:
    """A database stays what it is; without the setting it goes on as that."""
    database = settings_of(given.empty("apache"))
    assert marketdata(empty_folder, "migrate", MARKETDATA_STORAGE_MODE=stored, **database).code == 0
    found = marketdata(empty_folder, command, MARKETDATA_STORAGE_MODE=asked, **database)
    assert found.code == 1
    assert (
        f"MARKETDATA_STORAGE_MODE is {asked}, but the bars of this database are stored in mode "
        f"{stored}; leave the setting empty, or start with an empty database and import into it"
    ) in found.err
    assert "Traceback" not in found.err
    again = marketdata(empty_folder, "migrate", **database)
    assert (again.code, again.out) == (0, "The schema is up to date.\n")
