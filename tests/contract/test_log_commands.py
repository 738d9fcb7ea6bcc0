"""The commands of the change log: what they show, how they follow it, and how a history ends."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.change_log import MOST_INLINE_BARS
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.log_reader import LogReader
from tests.contract.commands import Commands
from tests.support.bars import Bar, days, frame_of, series
from tests.support.rows import fetch
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

DAY: Final = Timeframe.DAY_1
START_US: Final = days(20_000)
TWO_DAYS: Final = TimeRange(START_US, START_US + days(2))
_DEADLINE_SECONDS: Final = 60.0


@pytest.fixture
async def written(storage: Storage) -> Storage:
    """Give a log of a symbol, bars, a revision, many bars and a deletion."""
    await create_symbols(storage, "AAPL")
    bars = series("AAPL", DAY, START_US, 3)
    await storage.writer.commit_bars(frame_of(bars), DAY)
    await storage.writer.commit_bars(frame_of([bars[0]._replace(close=10.5)]), DAY)
    many = series("AAPL", Timeframe.MINUTE_1, START_US, MOST_INLINE_BARS + 1)
    await storage.writer.commit_bars(frame_of(many), Timeframe.MINUTE_1)
    await storage.deleter.delete("AAPL", DAY, TWO_DAYS, "bad [feed]")
    return storage


@pytest.mark.usefixtures("written")
async def test_tail_given_a_log_prints_a_line_an_entry(
    commands: Commands, database: ServerAddress
) -> None:
    """What, of which symbols, when, how many, and why somebody did it, brackets and all."""
    commands.use_database(database)
    found = await commands.run("log", "tail")
    assert (found.code, found.err) == (0, "")
    texts = [" ".join(line.split()) for line in found.out.splitlines()]
    assert [text.split()[0] for text in texts] == ["1", "2", "3", "4", "5"]
    assert texts[1].endswith("bars 1d AAPL [2024-10-04, 2024-10-07) 3 new")
    assert texts[2].endswith("bars 1d AAPL [2024-10-04, 2024-10-05) 1 revised")
    assert texts[3].endswith("16,385 new not inline")
    assert texts[4].endswith('deleted 1d AAPL [2024-10-04, 2024-10-06) "bad [feed]"')


@pytest.mark.usefixtures("written")
async def test_tail_given_json_writes_what_programs_need(
    commands: Commands, database: ServerAddress
) -> None:
    """From the seq that is asked for on; bars that are elsewhere are null, not none."""
    commands.use_database(database)
    found = await commands.run("log", "tail", "--from", "3", "--json")
    revised, many, deleted = [json.loads(line) for line in found.out.splitlines()]
    assert (revised["seq"], revised["kind"], revised["symbols"]) == (3, "bars", ["AAPL"])
    assert (revised["accepted"], revised["revised"], revised["inline_bars"]) == (0, 1, 1)
    assert (many["accepted"], many["inline_bars"]) == (MOST_INLINE_BARS + 1, None)
    assert (deleted["reason"], deleted["start"]) == ("bad [feed]", "2024-10-04T00:00:00Z")


async def test_tail_given_an_empty_log_prints_nothing(
    commands: Commands, database: ServerAddress
) -> None:
    """Nothing was written, which is no failure."""
    commands.use_database(database)
    found = await commands.run("log", "tail")
    assert (found.code, found.out, found.err) == (0, "", "")


async def test_tail_given_more_than_ten_prints_the_last_ten(
    commands: Commands, database: ServerAddress, storage: Storage
) -> None:
    """As tail does; all of it is asked for with --from 1."""
    await create_symbols(storage, *(f"S{number}" for number in range(12)))
    commands.use_database(database)
    found = await commands.run("log", "tail", "--json")
    assert [json.loads(line)["seq"] for line in found.out.splitlines()] == list(range(3, 13))
    everything = await commands.run("log", "tail", "--from", "1")
    assert len(everything.out.splitlines()) == 12


async def test_tail_given_seqs_that_are_not_there_says_which_are(
    commands: Commands, database: ServerAddress, storage: Storage
) -> None:
    """Trimmed or ahead: said in a line, exit code 1."""
    await create_symbols(storage, "A", "B", "C")
    await fetch(storage, "UPDATE bar_log SET oldest_seq = 3")
    commands.use_database(database)
    for first, problem in (("2", "the oldest that is left is 3"), ("5", "which ends with 3")):
        found = await commands.run("log", "tail", "--from", first)
        assert (found.code, found.out) == (1, "")
        assert problem in found.err


@contextmanager
def following(database: ServerAddress, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Follow the log in a process of its own, in a folder without settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DB_", "MARKETDATA_"))}
    with subprocess.Popen(
        [Path(sys.executable).with_name("marketdata"), "log", "tail", "--follow", "--json"],
        env={
            **kept,
            "DB_HOST": database.host,
            "DB_PORT": str(database.port),
            "DB_NAME": database.database,
            "DB_USERNAME": database.user,
            "DB_PASSWORD": database.password,
        },
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_tail_given_follow_prints_what_comes_until_it_is_interrupted(
    database: ServerAddress, written: Storage, tmp_path: Path
) -> None:
    """What is stored, then every entry as it is committed; Ctrl-C ends it without a trace."""
    with following(database, tmp_path) as process:
        assert process.stdout is not None

        async def next_seq() -> int:
            assert process.stdout is not None
            async with asyncio.timeout(_DEADLINE_SECONDS):
                return int(json.loads(await asyncio.to_thread(process.stdout.readline))["seq"])

        assert [await next_seq() for _ in range(5)] == [1, 2, 3, 4, 5]
        for seq in (6, 7, 8):
            await written.writer.commit_bars(frame_of([Bar("AAPL", START_US + days(100 + seq))]), DAY)
            assert await next_seq() == seq
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.to_thread(process.communicate, None, _DEADLINE_SECONDS)
    assert (process.returncode, out, err) == (130, "", "")


@pytest.mark.usefixtures("written")
async def test_show_given_a_log_tells_its_bounds(
    commands: Commands, database: ServerAddress, storage: Storage
) -> None:
    """First and last entry, when, of which history, how much; for people and for programs."""
    await fetch(storage, "UPDATE bar_log SET oldest_seq = 3")
    commands.use_database(database)
    generation = (await LogReader(storage.pools).bounds()).generation
    found = await commands.run("log", "show", "--json")
    shown = json.loads(found.out)
    assert (shown["head_seq"], shown["oldest_seq"], shown["generation"]) == (5, 3, generation)
    assert shown["oldest_time"] <= shown["head_time"]
    assert min(shown["entries_bytes"], shown["writes_bytes"]) > 0
    for_people = {row[0]: row[1:] for row in (await commands.run("log", "show")).table() if row}
    assert (for_people["head_seq"], for_people["generation"]) == (["5"], [generation])
    doctor = await commands.run("doctor", "--json")
    (log,) = [row for row in map(json.loads, doctor.out.splitlines()) if row["what"] == "log"]
    assert log["state"] == "ok"
    assert log["details"].startswith("entries 3 to 5, ")
    assert log["details"].endswith(generation)


async def test_show_given_an_empty_log_says_so(commands: Commands, database: ServerAddress) -> None:
    """No entry, and no time of one."""
    commands.use_database(database)
    shown = json.loads((await commands.run("log", "show", "--json")).out)
    assert (shown["head_seq"], shown["oldest_seq"]) == (0, 1)
    assert shown["head_time"] is shown["oldest_time"] is None
    doctor = await commands.run("doctor", "--json")
    assert "no entry yet" in doctor.out


async def test_new_generation_given_consent_begins_another_history(
    commands: Commands, database: ServerAddress, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only whoever says yes; the numbers go on, the generation is another one."""
    await create_symbols(storage, "A")
    commands.use_database(database)
    reader = LogReader(storage.pools)
    before = await reader.bounds()

    def refuse(*_arguments: object, **_options: object) -> None:
        raise SystemExit(1)

    monkeypatch.setattr("typer.confirm", refuse)
    assert (await commands.run("log", "new-generation")).code == 1
    assert await reader.bounds() == before
    found = await commands.run("log", "new-generation", "--yes")
    after = await reader.bounds()
    assert (found.code, found.err) == (0, "")
    assert found.out == (
        f"generation {after.generation} instead of {before.generation}; the log goes on behind 1\n"
    )
    assert (after.head_seq, after.generation == before.generation) == (1, False)
