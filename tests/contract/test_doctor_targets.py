"""``marketdata doctor`` names targets that are stale, since when, why, and what to do."""

import json
from collections.abc import AsyncIterator
from typing import Final

import pytest

from marketdata.clock import SystemClock
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.time_range import from_unix_us
from marketdata.storage.embedded import ServerAddress
from tests.contract.commands import Commands
from tests.contract.service import Service, serving
from tests.support.databases import connected

WANTED: Final = ("AAPL", "-p", "yahoo", "-t", "1d", "--history-start", "2020-01-01")


@pytest.fixture
async def targeting(database: ServerAddress, commands: Commands) -> AsyncIterator[Service]:
    """Give a service with a target of days, which was created twenty days ago."""
    async with serving(lambda: database) as running:
        await running.stores.symbols.create(NewSymbol("AAPL"))
        commands.use_service(running.address)
        commands.use_database(database)
        assert (await commands.run("targets", "add", "tech", *WANTED)).code == 0
        with connected(database) as connection:
            connection.execute("UPDATE ingestion_target SET created_at = now() - interval '20 days'")
        yield running


def note_run(database: ServerAddress, job: str, state: str, error: str = "") -> int:
    """Let there be a run of the slot of this moment; return its number."""
    now = f"{from_unix_us(SystemClock().now_us()):%Y-%m-%dT%H:%M:%SZ}"
    with connected(database) as connection:
        cursor = connection.execute(
            "INSERT INTO ingestion_run"
            "       (request_id, mode, provider, symbols, timeframes, refetches, state, error)"
            "SELECT format('slot/%%s/%%s/1d/%%s', target_id, %s::text, %s::text), 'batch', 'yahoo',"
            "       '{AAPL}', '{1d}', false, %s, %s FROM ingestion_target RETURNING run_id",
            [job, now, state, error],
        )
        (run_id,) = cursor.fetchone() or (0,)
    return int(run_id)


async def findings(commands: Commands) -> tuple[int, list[tuple[str, str, str]]]:
    """Run the doctor; return its exit code, and what it says of targets."""
    found = await commands.run("doctor", "--json")
    rows = [json.loads(line) for line in found.out.splitlines()]
    said = [(row["what"], row["state"], row["details"]) for row in rows if "target" in row["what"]]
    return found.code, said


@pytest.mark.usefixtures("targeting")
async def test_doctor_given_target_that_nobody_executes_names_its_series(commands: Commands) -> None:
    """Each job that is due, since when, and how to have somebody execute it."""
    code, said = await findings(commands)
    assert code == 1
    assert [(what, state) for what, state, _ in said] == [("target tech", "problem")] * 2
    daily, repair = (details for *_, details in said)
    assert daily.startswith("1d bars (daily) stale since ")
    assert repair.startswith("1d bars (repair) stale since ")
    assert "no run was started" in daily
    assert "MARKETDATA_SCHEDULE=true" in daily


@pytest.mark.usefixtures("targeting")
async def test_doctor_given_target_whose_runs_fail_names_run_and_error(
    commands: Commands, database: ServerAddress
) -> None:
    """The last error, and which run to look at; one that goes on is no error."""
    failed = note_run(database, "daily", "failed", "25 calls a day are used up.")
    cancelled = note_run(database, "repair", "cancelled")
    code, said = await findings(commands)
    assert code == 1
    daily, repair = (details for *_, details in said)
    assert f"run {failed} failed: 25 calls a day are used up; " in daily
    assert f"marketdata ingest watch {failed}" in daily
    assert f"run {cancelled} was cancelled" in repair


@pytest.mark.usefixtures("targeting")
async def test_doctor_given_target_that_is_current_says_so(
    commands: Commands, database: ServerAddress
) -> None:
    """One line for all that are well."""
    note_run(database, "daily", "succeeded")
    note_run(database, "repair", "succeeded")
    assert await findings(commands) == (0, [("targets", "ok", "1, all current")])
