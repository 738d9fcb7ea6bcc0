"""``marketdata targets`` beside a running service: what people see, and what pipes get."""

import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from marketdata.domain.symbol import NewSymbol
from marketdata.storage.embedded import ServerAddress
from tests.contract.commands import Commands
from tests.contract.service import Service, serving


@pytest.fixture
async def targeting(database: ServerAddress, commands: Commands) -> AsyncIterator[Service]:
    """Give a service with two symbols, and commands that look for it."""
    async with serving(lambda: database) as running:
        for symbol in ("AAPL", "MSFT"):
            await running.stores.symbols.create(NewSymbol(symbol))
        commands.use_service(running.address)
        yield running


@pytest.mark.usefixtures("targeting")
async def test_targets_given_one_added_shows_and_removes_it(commands: Commands) -> None:
    """From nothing to a target and back, in words."""
    nothing = await commands.run("targets", "list")
    assert (nothing.code, nothing.out) == (0, "")
    assert "marketdata targets add --help" in nothing.err
    added = await commands.run(
        "targets", "add", "tech", "AAPL", "MSFT", "-p", "yahoo", "-t", "1d", "-t", "1m",
        "--history-start", "2000-01-03",
    )  # fmt: skip
    assert (added.code, added.err) == (0, "")
    assert added.out == "Added tech: 2 symbols, 1d, 1m from yahoo.\n"
    listed = await commands.run("targets", "list")
    assert listed.table()[0][:7] == ["tech", "yahoo", "1d,", "1m", "2", "symbols", "2000-01-03"]
    removed = await commands.run("targets", "remove", "tech")
    assert (removed.code, removed.out) == (0, "Removed tech. What was fetched for it stays.\n")
    again = await commands.run("targets", "remove", "tech")
    assert again.code == 1
    assert "there is no target tech" in again.err
    assert "marketdata targets list" in again.err


@pytest.mark.usefixtures("targeting")
async def test_update_given_options_changes_what_they_name(commands: Commands) -> None:
    """What is not named stays; providers keep the order in which they were given."""
    await commands.run(
        "targets", "add", "tech", "AAPL", "-p", "yahoo", "-t", "1d", "--history-start", "2000-01-03"
    )
    changed = await commands.run("targets", "update", "tech", "-p", "alpaca", "-p", "yahoo", "-t", "1m")
    assert (changed.code, changed.out) == (0, "Changed tech: 1 symbol, 1m from alpaca, yahoo.\n")
    assert "It does without alpaca: set MARKETDATA_ALPACA_KEY_ID" in " ".join(changed.err.split())
    target = json.loads((await commands.run("targets", "list", "--json")).out)
    assert (target["symbols"], target["history_start"]) == (["AAPL"], "2000-01-03")
    assert target["providers"] == ["alpaca", "yahoo"]
    await commands.run("targets", "update", "tech", "MSFT", "AAPL", "--no-history")
    target = json.loads((await commands.run("targets", "list", "--json")).out)
    assert (target["symbols"], target["history_start"]) == (["MSFT", "AAPL"], None)
    everything = await commands.run("targets", "update", "tech", "--all")
    assert everything.out == "Changed tech: all active symbols, 1m from alpaca, yahoo.\n"
    missing = await commands.run("targets", "update", "nope", "--all")
    assert missing.code == 1
    assert "marketdata targets list" in missing.err


@pytest.mark.usefixtures("targeting")
async def test_add_given_a_file_or_all_takes_them(commands: Commands, tmp_path: Path) -> None:
    """A line a symbol, comments left out; all are kept as all, and a missing key is told."""
    path = tmp_path / "symbols.txt"
    path.write_text("# mine\nAAPL\n\nMSFT  # the other\nAAPL\n")
    of_file = await commands.run(
        "targets", "add", "mine", "--symbols", str(path), "-p", "yahoo", "-t", "1d"
    )
    assert of_file.out == "Added mine: 2 symbols, 1d from yahoo.\n"
    everything = await commands.run("targets", "add", "all", "--all", "-p", "alpaca", "-t", "1d")
    assert everything.code == 0
    assert everything.out == "Added all: all active symbols, 1d from alpaca.\n"
    assert "It waits for alpaca: set MARKETDATA_ALPACA_KEY_ID" in " ".join(everything.err.split())
    lines = (await commands.run("targets", "list", "--json")).out.splitlines()
    every, mine = [json.loads(line) for line in lines]
    assert (every["name"], every["symbols"], every["all_symbols"]) == ("all", [], True)
    assert (mine["symbols"], mine["all_symbols"]) == (["AAPL", "MSFT"], False)
    assert (mine["timeframes"], mine["providers"], mine["history_start"]) == (["1d"], ["yahoo"], None)
    rows = list(csv.DictReader(io.StringIO((await commands.run("targets", "list", "--csv")).out)))
    assert [row["name"] for row in rows] == ["all", "mine"]
    assert rows[1]["symbols"] == '["AAPL","MSFT"]'


@pytest.mark.usefixtures("targeting")
async def test_targets_given_mistakes_say_what_to_do(commands: Commands, tmp_path: Path) -> None:
    """Wrong usage ends with 2 before anybody is asked; what the service refuses ends with 1."""
    empty = tmp_path / "empty.txt"
    empty.write_text("# none yet\n")
    of_days = ("-p", "yahoo", "-t", "1d")
    misused: list[tuple[tuple[str, ...], str]] = [
        (("add", "x", *of_days), "name the symbols, or give --symbols FILE or --all"),
        (("add", "x", "AAPL", "--all", *of_days), "exclude each other"),
        (("add", "x", "--symbols", str(empty), *of_days), "names no symbol"),
        (("add", "x", "AAPL", "-p", "yahoo"), "--timeframe"),
        (("add", "x", "AAPL", *of_days, "--history-start", "soon"), "soon"),
        (("update", "x"), "name what is to change"),
        (("update", "x", "--no-history", "--history-start", "2000-01-03"), "exclude each other"),
        (("update", "x", "--symbols", str(empty)), "names no symbol"),
        (("list", "--json", "--csv"), "exclude each other"),
    ]
    for arguments, words in misused:
        done = await commands.run("targets", *arguments)
        assert done.code == 2, arguments
        assert words in " ".join(done.err.replace("│", " ").split())
    refused = await commands.run("targets", "add", "X", "NOPE", "-p", "none", "-t", "5m")
    assert refused.code == 1
    said = " ".join(refused.err.split())
    for words in (
        "name: is not 1 to 50 of a-z",
        "symbols[0]: NOPE is not known; CreateSymbol adds it",
        "timeframes[0]: 5m bars are derived on read",
        "providers[0]: there is no such provider",
    ):
        assert words in said
    assert (await commands.run("targets", "list")).out == ""
