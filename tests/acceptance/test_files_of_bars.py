"""Files of bars through real processes: imported beside a service, exported from it, interrupted."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from psycopg import sql

from tests.acceptance.processes import PROGRAMS, Outcome, Service, environment, marketdata
from tests.support.databases import connected
from tests.support.embedded import wait_until

AAPL_BARS: Final = 3_270
DAYS: Final = ("import", "csv", "-t", "1d", "--create-symbols")


@pytest.fixture
def service(sample_folder: Path, start: Callable[..., Service]) -> Service:
    """Give a service of the test's own, with the sample."""
    return start(sample_folder)


def command(service: Service, *arguments: str) -> Outcome:
    """Run a command beside the service, in the folder above its data."""
    return marketdata(service.folder, *arguments)


def export(service: Service, output: str, *arguments: str) -> Outcome:
    """Export from the service."""
    return command(service, "export", *arguments, "-o", output, "--address", service.address)


def total(outcome: Outcome) -> list[str]:
    """Give the row of counts: rows, accepted, unchanged, revised, outranked, duplicates, rejected."""
    lines = outcome.out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.split()[:1] == ["rows"])
    return lines[at + 2].split()


def synthetic_days(symbols: int, count: int) -> Iterator[str]:
    """Write daily bars of several symbols from 2000 on as lines of a CSV file."""
    sessions = np.datetime64("2000-01-03") + np.arange(count)
    for symbol in range(symbols):
        for number, session in enumerate(sessions):
            yield f"S{symbol},{session},{100 + number % 7},110,90,{101 + number % 5},{number}\n"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_import_given_an_export_of_the_sample_finds_every_bar_unchanged(
    service: Service, suffix: str
) -> None:
    """Thirteen years out and in again: not a bit of any bar is another."""
    exported = export(service, f"bars.{suffix}", "AAPL", "IBM", "-t", "1d")
    assert (exported.code, exported.out) == (0, "")
    assert f"{2 * AAPL_BARS:,} 1d bars in bars.{suffix}" in exported.err
    found = command(service, "import", suffix, f"bars.{suffix}", "-t", "1d")
    assert (found.code, found.err) == (0, "")
    rows = f"{2 * AAPL_BARS:,}"
    assert total(found) == [rows, "0", rows, "0", "0", "0", "0"]


def test_import_given_a_vendors_csv_stores_what_is_good(service: Service) -> None:
    """Bad rows are listed, good ones served at once, and the second run finds nothing new."""
    path = service.folder.parent / "eurex.csv"
    path.write_bytes(
        b"\xef\xbb\xbfDatum;Er\xc3\xb6ffnung;Hoch;Tief;Schluss;Volumen\r\n"
        b"02.01.2024;10,5;12;9;11;100\r\n03.01.2024;10.5;12;9;11;100\r\n04.01.2024;10;12;9;11;\r\n"
    )
    arguments = [
        "import", "csv", "eurex.csv", "-t", "1d", "--symbol", "FDAX", "--create-symbols",
        "--time-format", "%d.%m.%Y", "--decimal", ",", "--rejects", "bad.csv", "--map", "time=Datum",
        "--map", "open=#2", "--map", "high=Hoch", "--map", "low=Tief", "--map", "close=Schluss",
        "--map", "volume=volumen",
    ]  # fmt: skip
    first = command(service, *arguments)
    assert (first.code, first.err) == (0, "")
    assert total(first) == ["3", "2", "0", "0", "0", "0", "1"]
    rejects = (path.parent / "bad.csv").read_text(encoding="utf-8").splitlines()
    assert rejects[1:] == ["3,NOT_A_NUMBER,open,10.5,is not a number"]
    assert total(command(service, *arguments)) == ["3", "0", "2", "0", "0", "0", "1"]
    served = export(service, "-", "FDAX", "-t", "1d")
    assert served.out.splitlines()[1:] == [
        "FDAX,2024-01-02,10.5,12,9,11,100,,,manual/upload,1,0",
        "FDAX,2024-01-04,10,12,9,11,,,,manual/upload,1,0",
    ]


def test_import_given_a_parquet_file_without_a_service_stores_it(empty_folder: Path) -> None:
    """The command brings up the database by itself, as the other commands on it do."""
    table = pa.table(
        {
            "ticker": ["AAPL", "BRK.B"],
            "timestamp": pa.array([1_704_205_800_000, 1_704_205_860_000], pa.timestamp("ms", "UTC")),
            **{name: [10.0, 11.0] for name in ("open", "high", "low", "close")},
        }
    )
    pyarrow.parquet.write_table(table, empty_folder.parent / "bars.parquet")
    arguments = ["import", "parquet", "bars.parquet", "-t", "1m", "--create-symbols"]
    first = marketdata(empty_folder, *arguments)
    assert (first.code, total(first)) == (0, ["2", "2", "0", "0", "0", "0", "0"])
    assert total(marketdata(empty_folder, *arguments)) == ["2", "0", "2", "0", "0", "0", "0"]


def test_import_given_what_is_no_file_of_bars_ends_with_1(service: Service) -> None:
    """And says what would help."""
    (service.folder.parent / "notes.csv").write_text("name,text\na,b\n", encoding="utf-8")
    found = command(service, "import", "csv", "notes.csv", "-t", "1d", "--symbol", "AAPL")
    assert found.code == 1
    assert "--map time=COLUMN --map open=COLUMN" in found.err
    assert "the columns are: 'name', 'text'" in found.err


def test_import_given_ctrl_c_says_what_is_stored_and_goes_on_when_run_again(service: Service) -> None:
    """What it says is there; the second run adds the rest and changes nothing."""
    folder = service.folder.parent
    header, late = "symbol,time,open,high,low,close,volume\n", "S0,2015-01-05,100,110,90,101,1\n"
    (folder / "late.csv").write_text(header + late, encoding="utf-8")
    with (folder / "all.csv").open("w", encoding="utf-8") as stream:
        stream.writelines([header, *synthetic_days(150, 1_000), late])
    assert import_days(service, "late.csv").code == 0
    with holding_partition_of(service, "2015-01-05"):
        # The last of its blocks waits for that partition, so it cannot end before it is interrupted.
        process = subprocess.Popen(
            [PROGRAMS / "marketdata", *DAYS, "all.csv"],
            env=environment(service.folder),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            wait_until(lambda: somebody_waits(service), 60)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 130, said
    assert "Running the same import again is safe" in said
    assert "Traceback" not in said
    stored = bars_before_2015(service)
    assert 0 < stored < 150_000
    assert f" {stored:,} accepted" in said
    again = import_days(service, "all.csv")
    assert total(again) == ["150,001", f"{150_000 - stored:,}", f"{stored + 1:,}", "0", "0", "0", "0"]


def import_days(service: Service, name: str) -> Outcome:
    """Import a file of daily bars."""
    return command(service, *DAYS, name)


@contextmanager
def holding_partition_of(service: Service, session: str) -> Iterator[None]:
    """Let every writer of this session wait."""
    query = """
        SELECT tableoid::regclass::text FROM market_stock_hist_bars_day_ts
         WHERE time = %s::date AT TIME ZONE 'UTC' LIMIT 1
    """
    with connected(service.database()) as connection:
        row = connection.execute(query, [session]).fetchone()
        assert row is not None
        lock = sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(str(row[0])))
        with connection.transaction():
            connection.execute(lock)
            yield


def somebody_waits(service: Service) -> bool:
    """Whether a writer waits for a partition: all batches before it are committed."""
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
    with connected(service.database()) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return bool(row[0])


def bars_before_2015(service: Service) -> int:
    """Count the synthetic bars that are committed, without a look at the partition that is held."""
    query = """
        SELECT count(*) FROM market_stock_hist_bars_day_ts
         WHERE time < '2014-01-01Z' AND symbol LIKE 'S%'
    """
    with connected(service.database()) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(str(row[0]))


def test_export_given_a_reader_that_has_enough_ends_quietly(service: Service) -> None:
    """``marketdata export … -o - | head`` is no failure and says nothing of it."""
    process = subprocess.Popen(
        [PROGRAMS / "marketdata", "export", "AAPL", "IBM", "MSFT", "-t", "1d", "-o", "-", "--address",
         service.address],
        env=environment(service.folder), cwd=service.folder.parent,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b"symbol,time,")
    process.stdout.close()
    said = process.stderr.read().decode()
    process.stderr.close()
    assert (process.wait(60), said) == (0, "")
