"""The commands that keep the database: what they show, change and drop."""

import io
import json
from typing import Final

import pytest

from marketdata.domain.timeframe import Timeframe
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.modes import StorageMode
from tests.contract.commands import Commands
from tests.support.kept import BARS_A_DAY, midnight_us, store_minutes
from tests.support.rows import changes, stored_bars
from tests.support.storage import Storage

MINUTE: Final = Timeframe.MINUTE_1


async def test_storage_show_given_bars_shows_each_table(
    commands: Commands, database: ServerAddress, storage: Storage
) -> None:
    """A line a table: what is kept how long, and that nobody has confirmed it."""
    await store_minutes(storage, "A", 9, 2)
    commands.use_database(database)
    found = await commands.run("storage", "show")
    assert (found.code, found.err) == (0, "")
    rows = {row[0]: row for row in found.table() if row}
    assert rows["min"][1:5] == ["no", "6mo", "1d", "2"]
    assert "storage mode" in found.out


async def test_storage_show_given_json_writes_what_programs_need(
    commands: Commands, database: ServerAddress, storage: Storage, storage_mode: StorageMode
) -> None:
    """Numbers as numbers, times as ISO 8601, what is missing as null."""
    await store_minutes(storage, "A", 9, 2)
    commands.use_database(database)
    found = await commands.run("storage", "show", "--json")
    minutes, _, days = [json.loads(line) for line in found.out.splitlines()]
    assert (minutes["table"], minutes["mode"]) == ("min", storage_mode.value)
    assert (minutes["partitions"], minutes["compressed"]) == (2, 0)
    assert minutes["size_bytes"] > 0
    assert (minutes["rows"], minutes["rows_estimated"]) == (2 * BARS_A_DAY, False)
    assert minutes["newest"] > minutes["oldest"]
    assert (days["partitions"], days["oldest"], days["confirmed"]) == (0, None, None)


async def test_storage_set_given_settings_changes_them(
    commands: Commands, database: ServerAddress
) -> None:
    """What is given is changed, the rest is said as it stays."""
    commands.use_database(database)
    found = await commands.run("storage", "set", "min", "--interval", "7d", "--compress-after", "2w")
    assert (found.code, found.err) == (0, "")
    assert found.out == "min: partitions of 7d, compressed after 14d, kept for 6mo\n"
    again = await commands.run("storage", "show", "--json")
    assert json.loads(again.out.splitlines()[0])["interval"] == "7d"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["min"], 2, "nothing to change"),
        (["min", "--keep", "6 months"], 2, "write a number and d, w, mo or y"),
        (["week", "--keep", "6mo"], 2, "week"),
        (["min", "--keep", "6d"], 1, "the least for 1m bars is 7d"),
        (["day", "--interval", "1y"], 1, "from 1d to 366d"),
    ],
)
async def test_storage_set_given_what_it_refuses_says_what_to_give(
    commands: Commands, database: ServerAddress, arguments: list[str], code: int, message: str
) -> None:
    """A mistake of usage is told apart from a value that the database would not take."""
    commands.use_database(database)
    found = await commands.run("storage", "set", *arguments)
    assert found.code == code
    assert message in " ".join(found.err.replace("│", " ").split())


async def test_retention_given_show_apply_and_off_drops_only_what_was_shown(
    commands: Commands, database: ServerAddress, storage: Storage
) -> None:
    """A dry run changes nothing; apply drops what it showed and stays on; off ends it."""
    await store_minutes(storage, "A", 20, 9, 2)
    commands.use_database(database)
    await commands.run("storage", "set", "min", "--keep", "7d")
    shown = await commands.run("retention", "show", "--json")
    assert [json.loads(line)["table"] for line in shown.out.splitlines()] == ["min", "min"]
    assert len(await stored_bars(storage, MINUTE)) == 3 * BARS_A_DAY
    applied = await commands.run("retention", "apply", "--table", "min", "--yes")
    assert (applied.code, applied.err) == (0, "")
    assert applied.out.endswith(f"2 partitions with {2 * BARS_A_DAY} bars were dropped.\n")
    assert len(await stored_bars(storage, MINUTE)) == BARS_A_DAY
    assert (await changes(storage))[-1].range_us == (midnight_us(9), midnight_us(8))
    confirmed = [json.loads(line)["confirmed"] for line in await _shown(commands)]
    assert [value is None for value in confirmed] == [False, True, True]
    assert "min: retention is off now" in (await commands.run("retention", "off")).out
    assert [json.loads(line)["confirmed"] for line in await _shown(commands)] == [None] * 3


@pytest.mark.parametrize(
    ("answer", "said"), [("n\n", "retention is as it was"), ("", "give --yes; nothing was dropped")]
)
async def test_retention_apply_given_no_consent_drops_nothing(
    commands: Commands,
    database: ServerAddress,
    storage: Storage,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    said: str,
) -> None:
    """Whoever does not say yes has confirmed nothing either, and a silent pipe is told so."""
    await store_minutes(storage, "A", 400)
    commands.use_database(database)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    found = await commands.run("retention", "apply")
    assert found.code == 1
    assert said in found.err
    assert len(await stored_bars(storage, MINUTE)) == BARS_A_DAY
    assert [json.loads(line)["confirmed"] for line in await _shown(commands)] == [None] * 3


async def _shown(commands: Commands) -> list[str]:
    return (await commands.run("storage", "show", "--json")).out.splitlines()
