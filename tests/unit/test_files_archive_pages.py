"""Large files of the archive: in bounded pages, while others write, and left early."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

from marketdata.clock import ManualClock
from marketdata.domain.bars import BarFrame
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import (
    ProviderAnswerError,
    ProviderUnavailableError,
)
from marketdata.providers.files.provider import FilesProvider
from marketdata.providers.protocol import BarsPage, BarsRequest
from tests.support.providers.asking import is_true
from tests.support.providers.files.side import table_of
from tests.support.sessions import MINUTE_US, local_us, walk
from tests.support.waiting import until

_NOW_US = local_us("2049-01-04 12:00")
_AAPL = Symbol("AAPL", venue="XNAS")


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[FilesProvider]:
    """Read `tmp_path`."""
    provider = FilesProvider(tmp_path, ManualClock(_NOW_US))
    yield provider
    await provider.aclose()


async def _pages(provider: FilesProvider, wanted: TimeRange) -> list[BarsPage]:
    request = BarsRequest(_AAPL, Timeframe.MINUTE_1, wanted)
    return [page async for page in provider.fetch_bars(request)]


def _minutes(n: int) -> BarFrame:
    return walk(local_us("2020-01-02 00:00") + np.arange(n, dtype=np.int64) * MINUTE_US)


async def test_bars_given_a_large_file_come_in_bounded_pages_once_each(
    provider: FilesProvider, tmp_path: Path
) -> None:
    """Pages join without gap or overlap, whatever the blocks of the file are."""
    frame = _minutes(180_000)
    (tmp_path / "1m").mkdir()
    pyarrow.parquet.write_table(
        table_of(frame, Timeframe.MINUTE_1, None), tmp_path / "1m" / "AAPL.parquet"
    )
    wanted = TimeRange(int(frame.time_us[10]), int(frame.time_us[-10]))

    pages = await _pages(provider, wanted)

    assert max(len(page.frame) for page in pages) <= 50_000
    assert (
        np.concatenate([page.frame.time_us for page in pages]).tolist()
        == frame.time_us[10:-10].tolist()
    )
    starts = [page.range.start_us for page in pages]
    assert starts == [wanted.start_us, *(page.range.end_us for page in pages[:-1])]
    assert pages[-1].range.end_us == wanted.end_us


async def test_bars_given_a_large_file_that_is_not_sorted_say_where_and_what_to_do(
    provider: FilesProvider, tmp_path: Path
) -> None:
    """Sorting any file would take any memory; so it is asked for."""
    frame = _minutes(140_000)
    backwards = frame.take(np.arange(len(frame))[::-1])
    (tmp_path / "1m").mkdir()
    pyarrow.csv.write_csv(table_of(backwards, Timeframe.MINUTE_1, None), tmp_path / "1m" / "AAPL.csv")

    with pytest.raises(ProviderAnswerError, match=r"1m/AAPL\.csv, line \d+: .* stands behind .*; sort"):
        await _pages(provider, TimeRange(int(frame.time_us[0]), int(frame.time_us[-1])))


async def test_bars_given_a_file_that_grows_meanwhile_are_refused_until_it_rests(
    provider: FilesProvider, tmp_path: Path
) -> None:
    """Pages of before and after a change would not belong together."""
    frame = _minutes(140_000)
    (tmp_path / "1m").mkdir()
    path = tmp_path / "1m" / "AAPL.csv"
    pyarrow.csv.write_csv(table_of(frame, Timeframe.MINUTE_1, None), path)
    wanted = TimeRange(int(frame.time_us[0]), int(frame.time_us[-1]) + 1)
    request = BarsRequest(_AAPL, Timeframe.MINUTE_1, wanted)

    async def read() -> None:
        async for _ in provider.fetch_bars(request):
            with path.open("a") as file:
                file.write("\n")

    with pytest.raises(ProviderUnavailableError, match="was changed while it was read"):
        await read()
    assert len(await _pages(provider, wanted)) >= 3


async def test_bars_given_a_reader_that_leaves_early_close_the_file_behind_the_thread(
    provider: FilesProvider, tmp_path: Path
) -> None:
    """A cancelled call ends at once; when its thread is out of the file, nothing is left open."""
    frame = _minutes(140_000)
    (tmp_path / "1m").mkdir()
    path = tmp_path / "1m" / "AAPL.csv"
    pyarrow.csv.write_csv(table_of(frame, Timeframe.MINUTE_1, None), path)
    wanted = TimeRange(int(frame.time_us[0]), int(frame.time_us[-1]))
    request = BarsRequest(_AAPL, Timeframe.MINUTE_1, wanted)

    async def read() -> None:
        async for _ in provider.fetch_bars(request):
            pass

    call = asyncio.create_task(read())
    await until(lambda: is_true(_is_open(path)))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await provider.aclose()

    assert not _is_open(path)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("files_")]


def _is_open(path: Path) -> bool:
    return any(os.path.realpath(entry) == str(path) for entry in Path("/proc/self/fd").iterdir())
