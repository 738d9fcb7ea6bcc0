"""The provider `files` as the conformance suite sees it: a folder that is written from the truth."""

import csv
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from marketdata.domain.bars import BarColumn, BarFrame
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.providers.files.archive import PROVIDER
from marketdata.providers.files.archive_actions import COLUMNS
from marketdata.providers.files.provider import FilesProvider
from tests.support.providers.adapters import OHLCV, AdapterUnderTest, Circumstances, Played
from tests.support.providers.faults import Fault
from tests.support.providers.played import PlayedCall
from tests.support.providers.truth import Truth, hole_us

_COLUMNS: Final = (*sorted(OHLCV, key=lambda column: column.value),)


class NoServer:
    """The side of a provider that is a folder."""

    calls: Sequence[PlayedCall] = ()
    most_at_once = 0

    def open_connections(self) -> int:
        """Count none."""
        return 0


def table_of(frame: BarFrame, timeframe: Timeframe, fault: Fault | None) -> pa.Table:
    """Make a table of bars; daily ones have dates."""
    hole = hole_us(frame.time_us, timeframe) if fault is Fault.NAN_ROWS else None
    more = [] if hole is None else [hole]
    times = pa.array(np.append(frame.time_us, np.array(more, np.int64)))
    is_daily = timeframe is Timeframe.DAY_1
    columns: dict[str, Any] = {
        "time": times.cast(pa.timestamp("us")) if is_daily else times.cast(pa.timestamp("us", "UTC"))
    }
    if is_daily:
        columns["time"] = columns["time"].cast(pa.date32())
        assert (frame.time_us % MICROSECONDS_PER_DAY == 0).all()
    for column in _COLUMNS:
        missing = 0.0 if column is BarColumn.VOLUME else np.nan
        columns[column.value] = np.append(frame.column(column), [missing] * len(more))
    table = pa.table(columns)
    if fault is Fault.REORDERED:
        table = table.take(pa.array(np.random.default_rng(1).permutation(len(table))))
    return table


def write_folder(folder: Path, truth: Truth, fault: Fault | None) -> None:
    """Write all that a truth knows: minutes as Parquet, the rest as CSV."""
    for (symbol, timeframe), frame in truth.bars.items():
        (folder / timeframe.value).mkdir(exist_ok=True)
        table = table_of(frame, timeframe, fault)
        path = folder / timeframe.value / symbol
        if timeframe is Timeframe.MINUTE_1:
            pyarrow.parquet.write_table(table, f"{path}.parquet")
        else:
            pyarrow.csv.write_csv(table, f"{path}.csv")
    with (folder / "actions.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for symbol, actions in truth.actions.items():
            for action in reversed(actions):
                writer.writerow(
                    {
                        "symbol": symbol,
                        "kind": action.kind.value,
                        "ex_date": action.ex_date,
                        "split_ratio": action.split_ratio,
                        "cash_amount": action.cash_amount,
                        "currency": action.currency,
                    }
                )


@asynccontextmanager
async def play(circumstances: Circumstances) -> AsyncIterator[Played]:
    """Build the adapter over a folder; a fault of the first call is one of the folder."""
    given = circumstances
    with tempfile.TemporaryDirectory() as name:
        write_folder(Path(name), given.truth, given.faults(0))
        provider = FilesProvider(Path(name), given.clock, most_bars=given.page_bars)
        try:
            yield Played(provider, NoServer())
        finally:
            await provider.aclose()


FILES: Final = AdapterUnderTest(
    name=PROVIDER,
    play=play,
    faults=frozenset({Fault.REORDERED, Fault.NAN_ROWS}),
    has_terms_page=False,
)
