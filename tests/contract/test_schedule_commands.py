"""``marketdata schedule`` beside a running service: what ran, what runs, what comes next."""

import json
from collections.abc import AsyncIterator

import pytest

from marketdata.clock import SystemClock
from marketdata.domain.ingestion_run import IngestionMode, RunRequest
from marketdata.domain.symbol import NewSymbol
from marketdata.domain.time_range import from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.ingestion.runs import RunStore
from tests.contract.commands import Commands
from tests.contract.service import Service, serving
from tests.support.waiting import until


@pytest.fixture
async def scheduling(database: ServerAddress, commands: Commands) -> AsyncIterator[Service]:
    """Give a service with a symbol, and commands that look for it."""
    async with serving(lambda: database) as running:
        await running.stores.symbols.create(NewSymbol("AAPL"))
        commands.use_service(running.address)
        yield running


async def test_show_given_targets_says_what_ran_and_what_comes_next(
    scheduling: Service, commands: Commands
) -> None:
    """The newest run of each job, how it ended, and a time ahead for those that never ran, too."""
    nothing = await commands.run("schedule", "show")
    assert (nothing.code, nothing.out) == (0, "")
    assert "marketdata targets add --help" in nothing.err
    added = await commands.run(
        "targets", "add", "tech", "--all", "-p", "files", "-t", "1d", "--history-start", "2020-01-01"
    )
    assert added.code == 0
    target = json.loads((await commands.run("targets", "list", "--json")).out)
    runs = RunStore(scheduling.stores.pools)
    for slot in ("2024-03-11T03:00:00Z", "2024-03-12T02:00:00Z"):
        name = f"slot/{target['target_id']}/daily/1d/{slot}"
        request = RunRequest(name, IngestionMode.BATCH, "files", ("AAPL",), (Timeframe.DAY_1,))
        run = await runs.start(request, [])

    async def is_over() -> bool:
        return (await runs.get(run.run_id)).state.is_over

    # The provider lacks a folder here.
    await until(is_over)
    other = RunRequest(f"{name}/2", IngestionMode.BACKFILL, "yahoo", ("AAPL",), (Timeframe.DAY_1,), 0)
    run, failed = await runs.start(other, []), run
    await until(is_over)
    lines = (await commands.run("schedule", "show", "--json")).out.splitlines()
    daily, repair, actions = [json.loads(line) for line in lines]
    assert (daily["target"], daily["job"], daily["timeframe"]) == ("tech", "daily", "1d")
    assert (daily["last_slot"], daily["run_id"]) == ("2024-03-12T02:00:00Z", run.run_id)
    assert (daily["provider"], daily["state"]) == ("yahoo", "succeeded")
    assert daily["runs"] == [
        {"run_id": failed.run_id, "provider": "files", "state": "failed"},
        {"run_id": run.run_id, "provider": "yahoo", "state": "succeeded"},
    ]
    assert (repair["job"], repair["last_slot"], repair["run_id"]) == ("repair", None, None)
    now = f"{from_unix_us(SystemClock().now_us()):%Y-%m-%dT%H:%M:%SZ}"
    assert daily["next_slot"] > now[:-1]
    assert repair["next_slot"].endswith("T05:00:00Z")
    assert (actions["job"], actions["timeframe"]) == ("actions", None)
    assert actions["next_slot"].endswith("T08:00:00Z")
    commands.use(MARKETDATA_SCHEDULE_REPAIR_AT="06:30")
    lines = (await commands.run("schedule", "show", "--json")).out.splitlines()
    _, repair, _ = map(json.loads, lines)
    assert repair["next_slot"].endswith("T06:30:00Z")
    table = (await commands.run("schedule", "show")).table()
    assert table[0][:6] == ["tech", "daily", "1d", "2024-03-12", "02:00", str(failed.run_id)]
    assert table[1] == [str(run.run_id), "yahoo", "succeeded"]
    assert table[2][:2] == ["tech", "repair"]
