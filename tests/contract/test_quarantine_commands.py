"""``marketdata ingest quarantine``: what it shows, and what it does."""

import json
from typing import Final

import pytest
from bifrost.marketdata.v1 import quarantine_pb2 as messages
from bifrost.marketdata.v1 import timeframe_pb2

from marketdata.client import (
    QualityRule,
)
from marketdata.domain.timeframe import Timeframe
from tests.contract.commands import Commands
from tests.contract.service import Service
from tests.support.quarantined import NOT_FINITE
from tests.support.rows import stored_bars
from tests.support.storage import Storage

MINUTES_5: Final = timeframe_pb2.TIMEFRAME_5_MINUTES
OPEN: Final = messages.QUARANTINE_STATE_OPEN
RELEASED: Final = messages.QUARANTINE_STATE_RELEASED
DROPPED: Final = messages.QUARANTINE_STATE_DROPPED
GOOD: Final = {"reason": "sure"}


async def test_command_list_given_bars_shows_open_ones_with_remedies(
    quarantining: Service, commands: Commands
) -> None:
    """A line a bar, and below what each rule means; filters by options."""
    commands.use_service(quarantining.address)
    found = await commands.run("ingest", "quarantine", "list")
    assert found.code == 0
    assert [row[:5] for row in found.table() if row] == [
        ["3", "A", "1970-01-04", "1d", "invalid"],
        ["2", "A", "1970-01-03", "1d", "flag"],
        ["1", "A", "1970-01-02", "1d", "reject"],
    ]
    assert f"SCALE_100X: {QualityRule.SCALE_100X.description}" in found.err
    spikes = await commands.run("ingest", "quarantine", "list", "--rule", "spike", "--symbol", "A")
    assert [row[0] for row in spikes.table() if row] == ["2"]
    none = await commands.run("ingest", "quarantine", "list", "--state", "dropped")
    assert (none.code, none.out) == (0, "")
    assert "no such bars" in none.err


async def test_command_list_given_json_or_csv_writes_every_field(
    quarantining: Service, commands: Commands
) -> None:
    """What is NaN is null; rules are lists."""
    commands.use_service(quarantining.address)
    found = await commands.run("ingest", "quarantine", "list", "--any-state", "--json")
    invalid, _, reject = [json.loads(line) for line in found.out.splitlines()]
    assert (invalid["close"], invalid["trade_count"], invalid["decided"]) == (None, None, None)
    assert invalid["rules"] == [rule.name for rule in NOT_FINITE]
    assert (reject["time"], reject["close"], reject["vwap"]) == ("1970-01-02", 11.0, 10.5)
    table = await commands.run("ingest", "quarantine", "list", "--csv", "--severity", "reject")
    assert len(table.out.splitlines()) == 2


async def test_command_release_and_drop_given_bars_say_what_became_of_them(
    quarantining: Service, commands: Commands, storage: Storage
) -> None:
    """Refused ones end with exit code 1 and their reason; by numbers or by options."""
    commands.use_service(quarantining.address)
    first = await commands.run("ingest", "quarantine", "release", "1", "3", "--reason", "right")
    assert first.code == 1
    assert first.out == "Released 1 bars (stored: 1 new, 0 revised, 0 unchanged).\n"
    assert "3: it can never be stored; drop it" in first.err
    assert len(await stored_bars(storage, Timeframe.DAY_1)) == 1
    again = await commands.run("ingest", "quarantine", "release", "1")
    assert (again.code, again.err) == (0, "")
    assert again.out.endswith("1 had been before.\n")
    drop = await commands.run(
        "ingest", "quarantine", "drop", "--rule", "NOT_FINITE", "--reason", "no price"
    )
    assert (drop.code, drop.out, drop.err) == (0, "Dropped 1 bars.\n", "")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["release"], "name bars by their ID"),
        (["release", "1", "--symbol", "A"], "exclude each other"),
        (["list", "--rule", "NO"], "SCALE_100X"),
        (["list", "--severity", "bad"], "invalid, reject, flag"),
        (["drop", "1"], "--reason"),
        (["list", "--json", "--csv"], "exclude each other"),
    ],
)
async def test_command_given_mistakes_of_usage_ends_with_2(
    commands: Commands, arguments: list[str], says: str
) -> None:
    """Before anything is asked of the service."""
    found = await commands.run("ingest", "quarantine", *arguments)
    assert found.code == 2
    assert says in " ".join(found.err.replace("│", " ").split())
