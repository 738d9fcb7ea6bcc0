"""The commands on files, as their entry point runs them, beside a service and its database."""

import asyncio
import csv
import os
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from marketdata.cli.main import main
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import StorageFullError
from marketdata.ingestion.file_import import FileImporter
from marketdata.providers.files.blocks import BarBlock
from marketdata.storage.embedded import ServerAddress
from tests.contract.service import Service, state
from tests.support.bar_files import HEADER
from tests.support.bars import Bar
from tests.support.databases import Databases
from tests.support.rows import stored_bars
from tests.support.storage import opened_storage

GOOD: Final = "2024-01-02,10,12,9,11,100"
ONE: Final = f"{HEADER}\n{GOOD}\n"
MANY: Final = """Symbol,Date,Open,High,Low,Close,Volume,VWAP,Trades
AAPL,2024-01-02,10.1,12.3,9.7,11.2,100,11.05,7
AAPL,2024-01-03,11.1,12.3,9.7,11.3,,,
IBM,2024-01-02,100.25,102.5,99.75,101.125,12345678.5,,12
"""


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    def counts(self) -> dict[str, int]:
        """Give the table of counts."""
        lines = self.out.splitlines()
        at = next(i for i, line in enumerate(lines) if line.split()[:1] == ["rows"])
        numbers = (int(cell.replace(",", "")) for cell in lines[at + 2].split())
        return dict(zip(lines[at].split(), numbers, strict=True))


class Commands:
    """Runs ``marketdata`` in this process, on a database and in a folder of its own."""

    def __init__(
        self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str], service: Service
    ) -> None:
        self._patch = patch
        self._capture = capture
        self._service = service

    async def run(self, *arguments: str) -> Outcome:
        """Run a command in a thread: it has an event loop of its own."""
        self._patch.setattr(sys, "argv", ["marketdata", *arguments])
        self._capture.readouterr()
        code = await asyncio.to_thread(_exit_code)
        printed = self._capture.readouterr()
        return Outcome(code, printed.out, printed.err)

    async def import_csv(self, content: str, *options: str) -> Outcome:
        """Import daily bars from a CSV file of this content."""
        write("bars.csv", content)
        return await self.run("import", "csv", "bars.csv", "-t", "1d", *options)

    async def export(self, output: str, *arguments: str, timeframe: str = "1d") -> Outcome:
        """Export bars of the service."""
        options = ("-t", timeframe, "-o", output, "--address", self._service.address)
        return await self.run("export", *arguments, *options)


def write(name: str, content: str) -> None:
    """Write a file."""
    Path(name).write_text(content, encoding="utf-8")


def lines_of(name: str) -> list[str]:
    """Read the lines of a file."""
    return Path(name).read_text(encoding="utf-8").splitlines()


def files() -> set[Path]:
    """List the files that there are."""
    return set(Path().iterdir())


def _exit_code() -> int:
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


@pytest.fixture
def commands(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    service: Service,
    database: ServerAddress,
) -> Commands:
    """Give a way to run commands beside a service over an empty database."""
    for name in os.environ:
        if name.startswith(("DB_", "MARKETDATA_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DB_HOST", database.host)
    monkeypatch.setenv("DB_PORT", str(database.port))
    monkeypatch.setenv("DB_NAME", database.database)
    monkeypatch.setenv("DB_USERNAME", database.user)
    monkeypatch.setenv("DB_PASSWORD", database.password)
    return Commands(monkeypatch, capsys, service)


@pytest.fixture
async def other(databases: Databases) -> AsyncIterator[ServerAddress]:
    """Give another empty database."""
    address = await databases.migrated()
    yield address
    databases.drop(address)


async def stored(database: ServerAddress) -> list[Bar]:
    """List the daily bars of a database."""
    async with opened_storage(lambda: database) as storage:
        return await stored_bars(storage, Timeframe.DAY_1)


async def test_import_given_a_file_says_what_became_of_every_row(
    commands: Commands, database: ServerAddress
) -> None:
    """What was recognised, the counts, and each bad row with its line, rule and value."""
    rows = [GOOD, "2024-01-03,10,12,9,abc,1", "", GOOD, "2024-01-04,10,5,9,11,1"]
    found = await commands.import_csv(
        "\n".join([f"{HEADER},Adj Close", *(f"{row},1" if row else "" for row in rows)]),
        "--symbol",
        "AAPL",
        "--create-symbols",
    )
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("Columns: time = 'Date', open = 'Open'")
    assert "not used: 'Adj Close'" in found.out
    assert found.counts() == {
        "rows": 4, "accepted": 1, "unchanged": 0, "revised": 0, "outranked": 0, "duplicates": 1,
        "rejected": 2,
    }  # fmt: skip
    assert "venue XNYS, currency USD and calendar XNYS: AAPL" in found.out
    assert "NOT_A_NUMBER 1, HIGH_NOT_HIGHEST 1" in found.out
    lines = [line.split() for line in found.out.splitlines()]
    assert ["3", "NOT_A_NUMBER", "close", "abc", "is", "not", "a", "number"] in lines
    assert [
        "6",
        "HIGH_NOT_HIGHEST",
        "high",
        "5.0",
        "is",
        "below",
        "open,",
        "low",
        "or",
        "close",
    ] in lines
    assert [bar.close for bar in await stored(database)] == [11]


async def test_import_given_a_second_run_changes_nothing(
    commands: Commands, database: ServerAddress
) -> None:
    """All bars are unchanged, and so is everything that a write could change."""
    assert (await commands.import_csv(MANY, "--create-symbols")).counts()["accepted"] == 3
    before = state(database)
    again = await commands.import_csv(MANY, "--create-symbols")
    assert (again.counts()["unchanged"], again.counts()["accepted"]) == (3, 0)
    assert state(database) == before


async def test_import_given_a_dry_run_stores_nothing(
    commands: Commands, database: ServerAddress
) -> None:
    """It says what would be, and changes nothing."""
    before = state(database)
    found = await commands.import_csv(MANY, "--create-symbols", "--dry-run")
    assert (found.code, found.counts()) == (0, {"rows": 3, "good": 3, "duplicates": 0, "rejected": 0})
    assert "Symbols that would be created" in found.out
    assert "nothing was stored" in found.out
    assert state(database) == before


async def test_import_given_rejects_writes_all_of_them(commands: Commands) -> None:
    """The screen has the first ones, the file has all."""
    rows = "\n".join(f"2024-01-02,{n},12,9,x{n},1" for n in range(50))
    found = await commands.import_csv(
        f"{HEADER}\n{GOOD}\n{rows}\n", "--symbol", "AAPL", "--create-symbols", "--rejects", "bad.csv"
    )
    assert (found.code, found.counts()["rejected"]) == (0, 50)
    assert found.out.count("NOT_A_NUMBER") == 21
    assert "--rejects FILE writes all" in found.out
    written = list(csv.DictReader(lines_of("bad.csv")))
    assert [row["line"] for row in written] == [str(line) for line in range(3, 53)]
    assert written[0] == {
        "line": "3", "rule": "NOT_A_NUMBER", "field": "close", "value": "x0",
        "description": "is not a number",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (ONE, [], "no column was recognised for symbol; give the symbol of all rows"),
        ("a,b\n1,2\n", ["--symbol", "A"], "--map time=COLUMN --map open=COLUMN"),
        (ONE, ["--symbol", "A"], "nothing of bars.csv could be imported"),
        (
            f"{HEADER}\n{GOOD}\n",
            ["--symbol", "A", "--feed", "a/b"],
            "feed a/b is not known; the feeds are",
        ),
        (
            f"{HEADER}\n{GOOD}\n",
            ["--symbol", "A", "--rejects", "none/x.csv"],
            "none/x.csv cannot be written",
        ),
        (ONE, ["--symbol", "A", "--time-zone", "Nowhere"], "--time-zone Nowhere"),
    ],
)
async def test_import_given_what_cannot_be_read_ends_with_1_and_says_how_to_go_on(
    commands: Commands, database: ServerAddress, content: str, options: list[str], said: str
) -> None:
    """Nothing was imported: a script must see it, and a person what to do."""
    before = state(database)
    found = await commands.import_csv(content, *options)
    assert found.code == 1
    assert said in found.err
    assert "Traceback" not in found.err
    assert state(database) == before


async def test_import_given_a_header_alone_says_so(commands: Commands) -> None:
    """No rows are no failure."""
    found = await commands.import_csv(f"{HEADER}\n", "--symbol", "AAPL")
    assert found.code == 0
    assert "bars.csv has no rows below its columns" in found.out


async def test_import_given_numbers_since_1970_says_the_unit(commands: Commands) -> None:
    """What was told by size is said, so that it can be seen."""
    content = f"{HEADER}\n1704153600000,10,12,9,11,100\n"
    found = await commands.import_csv(content, "--symbol", "AAPL", "--create-symbols")
    assert "numbers since 1970, in ms" in found.out
    assert found.counts()["accepted"] == 1


@pytest.mark.parametrize(
    ("failure", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "Interrupted."),
        (StorageFullError("there is no space left"), 1, "Stopped by an error."),
    ],
)
async def test_import_given_an_interruption_says_what_is_stored(
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    code: int,
    said: str,
) -> None:
    """And that the same command goes on where it ended."""
    take_in = FileImporter._take_in

    async def take_in_and_fail(self: FileImporter, block: BarBlock, feeds: frozenset[str]) -> None:
        await take_in(self, block, feeds)
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(FileImporter, "_take_in", take_in_and_fail)
        found = await commands.import_csv(MANY, "--create-symbols")
    assert found.code == code
    assert f"{said} 3 bars of the file are settled" in found.err
    assert "Running the same import again is safe" in found.err
    again = await commands.import_csv(MANY, "--create-symbols")
    assert again.counts()["unchanged"] == 3


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
async def test_export_given_bars_imports_into_another_database_as_they_were(
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
    database: ServerAddress,
    other: ServerAddress,
    suffix: str,
) -> None:
    """All columns, feeds and missing values, in the order of the symbols asked for."""
    await commands.import_csv(MANY, "--create-symbols")
    exported = await commands.export(f"out.{suffix}", "IBM", "AAPL")
    assert (exported.code, exported.out) == (0, "")
    assert exported.err.strip() == f"3 1d bars in out.{suffix}"
    monkeypatch.setenv("DB_NAME", other.database)
    found = await commands.run("import", suffix, f"out.{suffix}", "-t", "1d", "--create-symbols")
    assert (found.code, found.counts()["accepted"]) == (0, 3)
    assert await stored(other) == await stored(database)


async def test_export_given_minutes_exports_all_hours(commands: Commands) -> None:
    """Before and after the regular session too: a read shows only that unless it is asked."""
    rows = "".join(f"2024-01-02 {hour}:00,10,12,9,11,1\n" for hour in ("09", "15", "22"))
    write("m.csv", f"{HEADER}\n{rows}")
    await commands.run("import", "csv", "m.csv", "-t", "1m", "--symbol", "AAPL", "--create-symbols")
    await commands.export("out.csv", "AAPL", timeframe="1m")
    assert [line.split(",")[1] for line in lines_of("out.csv")[1:]] == [
        "2024-01-02 09:00:00Z",
        "2024-01-02 15:00:00Z",
        "2024-01-02 22:00:00Z",
    ]


async def test_export_given_a_range_is_half_open(commands: Commands) -> None:
    """Start and end are UTC; the end is not in."""
    await commands.import_csv(MANY, "--create-symbols")
    found = await commands.export("out.csv", "AAPL", "--start", "2024-01-03", "--end", "2024-01-04")
    assert "1 1d bars" in found.err
    assert [line.split(",")[1] for line in lines_of("out.csv")[1:]] == ["2024-01-03"]


async def test_export_given_no_bars_writes_an_empty_table_and_names_the_symbol(
    commands: Commands,
) -> None:
    """A pipeline gets its columns, a person the reason."""
    await commands.import_csv(MANY, "--create-symbols")
    found = await commands.export("out.csv", "AAPL", "IBM", "--start", "2024-01-03")
    assert found.code == 0
    assert "No bars in this range: IBM" in found.err
    empty = await commands.export("none.csv", "AAPL", "--end", "2020-01-01")
    assert (empty.code, len(lines_of("none.csv"))) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["out.txt", "AAPL"], "let its name end with .csv or .parquet, or give --format"),
        (["-", "AAPL", "--format", "parquet"], "only CSV goes to standard output"),
        (["out.csv", "AAPL", "NOPE"], "NOPE: no such symbol is known"),
        (["none/out.csv", "AAPL"], "none/out.csv cannot be written"),
    ],
)
async def test_export_given_what_cannot_be_ends_with_1_and_leaves_no_file(
    commands: Commands, arguments: list[str], said: str
) -> None:
    """A symbol that is mistyped must not be missing in silence."""
    await commands.import_csv(MANY, "--create-symbols")
    before = files()
    found = await commands.export(*arguments)
    assert found.code == 1
    assert said in found.err
    assert files() == before


async def test_export_given_no_service_says_so(commands: Commands) -> None:
    """And what to do."""
    found = await commands.run("export", "AAPL", "-t", "1d", "-o", "x.csv", "--address", "127.0.0.1:1")
    assert found.code == 1
    assert "Is the service running?" in found.err


@pytest.fixture
def no_pyarrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let pyarrow not be installed."""
    forgotten = {
        name: module
        for name, module in sys.modules.items()
        if name in {"marketdata.cli.import_run", "marketdata.cli.export_run"}
        or name.startswith(("marketdata.providers.files.", "marketdata.ingestion.file_import"))
    }
    for name in forgotten:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for module in ("import_run", "export_run"):
        monkeypatch.delattr(f"marketdata.cli.{module}", raising=False)
    yield
    sys.modules.update(forgotten)


@pytest.mark.usefixtures("no_pyarrow")
async def test_commands_given_no_pyarrow_name_the_extra(commands: Commands) -> None:
    """It is an extra: who lacks it learns how to get it."""
    found = await commands.import_csv(MANY)
    assert found.code == 1
    assert "pip install 'bifrost-marketdata[files]'" in found.err
    found = await commands.export("x.csv", "AAPL")
    assert "pip install 'bifrost-marketdata[files]'" in found.err
