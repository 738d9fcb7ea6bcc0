"""StreamBars read from Node by the contract alone: the bulk form is for every language."""

import asyncio
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from marketdata.client import BarFrame, Bars, MarketDataClient, NewSymbol
from tests.contract.requests import MINUTE_US, OPEN_US
from tests.contract.service import Service, serving
from tests.support.databases import Databases

ROOT: Final = Path(__file__).parents[2]
NODE: Final = ROOT / "tests" / "node"
NPM: Final = ROOT / "scripts" / "npm"
QUIET: Final = ("--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
INTEGERS: Final = ("time_us", "trade_count", "flags", "revision")
FLOATS: Final = ("open", "high", "low", "close", "volume", "vwap")
# JavaScript's own numbers end at 2 ** 53: this one would come out as another.
LARGE: Final = 2**53 + 1
# More than the first batch has.
BARS: Final = 3_000


async def run(*command: str | Path) -> str:
    """Run a program to its end; return what it printed."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=ROOT
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


@pytest.fixture(scope="session")
async def node_client() -> Path:
    """Install the client, once for each version of it; return its folder."""
    files = sorted(path for path in NODE.iterdir() if path.is_file())
    checksum = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    folder = ROOT / ".cache" / f"node-client-{checksum[:12]}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix="node-client-", dir=folder.parent))
    for path in files:
        shutil.copy(path, unfinished)
    cache = unfinished / "npm"
    await run(NPM, "ci", "--prefix", unfinished, "--cache", cache, "--ignore-scripts", *QUIET)
    shutil.rmtree(cache)
    try:
        os.rename(unfinished, folder)  # noqa: PTH104 -- it refuses a folder that is there
    except OSError:  # another run was faster
        shutil.rmtree(unfinished)
    return folder


@pytest.fixture(scope="module")
async def filled(databases: Databases) -> AsyncIterator[Service]:
    """Give a service with minutes of two symbols: all kinds of values, missing ones too."""
    database = await databases.migrated()
    dice = np.random.default_rng(7)
    async with serving(lambda: database) as running:
        async with MarketDataClient(running.address) as client:
            for symbol in ("AAPL", "IBM"):
                close = dice.normal(100.0, 1.0, BARS)
                volume = dice.integers(0, 1_000, BARS).astype(np.float64)
                volume[::7] = np.nan
                trades = dice.integers(-1, 1_000, BARS)
                trades[5] = LARGE
                frame = BarFrame(
                    symbols=(symbol,),
                    time_us=OPEN_US + np.arange(BARS, dtype=np.int64) * MINUTE_US,
                    open=close,
                    high=close + 0.1,
                    low=close - 0.1,
                    close=close,
                    volume=volume,
                    vwap=np.where(np.isnan(volume), np.nan, close),
                    trade_count=trades,
                )
                await client.create_symbol(NewSymbol(symbol))
                await client.upload_bars(frame, "1m")
        yield running
    databases.drop(database)


async def read_by_node(folder: Path, service: Service, **request: Any) -> list[dict[str, Any]]:
    """Read a stream; return its messages as JSON has them."""
    lines = await run(
        NPM, "--prefix", folder, "--silent", "run", "read", "--",
        service.address, ROOT / "protos", json.dumps(request),
    )  # fmt: skip
    return [json.loads(line) for line in lines.splitlines()]


def rows_of(batches: list[dict[str, Any]], column: str) -> list[Any]:
    """Join a column of all batches."""
    return [value for batch in batches for value in batch[column]]


def symbols_of(batches: list[dict[str, Any]]) -> list[str]:
    """Look up the symbol of every row."""
    return [
        batch["symbols"][int(index)]
        for batch in batches
        for index in batch["symbol_index"] or ["0"] * len(batch["time_us"])
    ]


def assert_same_numbers(batches: list[dict[str, Any]], bars: Bars) -> None:
    """Compare every value of every column, to the last bit."""
    assert symbols_of(batches) == [bars.symbols[i] for i in bars.row_symbol_index()]
    for name in INTEGERS:
        values = rows_of(batches, name)
        assert {type(value) for value in values} == {str}
        assert [int(value) for value in values] == getattr(bars, name).tolist()
    for name in FLOATS:
        found = np.array([float(value) for value in rows_of(batches, name)])
        assert np.array_equal(found.view(np.int64), getattr(bars, name).view(np.int64))


@pytest.mark.parametrize("order", ["symbol_time", "time_symbol_descending"])
async def test_stream_bars_given_node_gives_the_same_numbers(
    node_client: Path, filled: Service, order: str
) -> None:
    """Doubles to the last bit, NaN as NaN, int64 beyond what JavaScript counts to."""
    messages = await read_by_node(
        node_client,
        filled,
        symbols=["IBM", "NOPE", "AAPL"],
        timeframe="TIMEFRAME_1_MINUTE",
        session="SESSION_ALL",
        order=f"BAR_ORDER_{order.upper()}",
        end_time={"seconds": (OPEN_US + BARS * MINUTE_US) // 1_000_000},
        start_time={"seconds": OPEN_US // 1_000_000},
    )
    async with MarketDataClient(filled.address) as client:
        bars = await client.bars(["IBM", "NOPE", "AAPL"], "1m", session="all", order=order)
    parts = [message["part"] for message in messages]
    assert parts == ["header", *["batch"] * (len(parts) - 2), "trailer"]
    header, trailer = messages[0]["header"], messages[-1]["trailer"]
    assert header["unresolved_symbols"] == ["NOPE"]
    assert int(header["snapshot_seq"]) == bars.applied.snapshot_seq
    assert (trailer["rows"], trailer["complete"]) == (str(len(bars)), True)
    assert len(bars) == 2 * BARS
    assert_same_numbers([message["batch"] for message in messages[1:-1]], bars)
    assert LARGE in bars.trade_count


async def test_stream_bars_given_node_and_columns_sends_only_them(
    node_client: Path, filled: Service
) -> None:
    """A column that was not asked for is empty in every language."""
    messages = await read_by_node(
        node_client,
        filled,
        symbols=["AAPL"],
        timeframe="TIMEFRAME_1_MINUTE",
        columns=["BAR_COLUMN_CLOSE"],
        limit="5",
    )
    (batch,) = (message["batch"] for message in messages[1:-1])
    assert len(batch["close"]) == len(batch["time_us"]) == 5
    assert not any(batch[name] for name in (*FLOATS, *INTEGERS) if name not in ("close", "time_us"))
