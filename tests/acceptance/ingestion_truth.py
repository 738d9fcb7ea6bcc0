"""Compares what a database holds with what a provider had, without the service's own code."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import psycopg

from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.embedded import ServerAddress

_TABLES: Final = {
    Timeframe.MINUTE_1: "market_stock_hist_bars_min_ts",
    Timeframe.DAY_1: "market_stock_hist_bars_day_ts",
}
_COLUMNS: Final = ("open", "high", "low", "close", "volume", "vwap", "trade_count")


def differences(
    database: ServerAddress, truth: Mapping[tuple[str, Timeframe], BarFrame]
) -> Sequence[str]:
    """List what is missing, too much or different, by symbol and timeframe."""
    found: list[str] = []
    with psycopg.connect(**database.connection_parameters()) as connection:  # type: ignore[arg-type]
        for timeframe, table in _TABLES.items():
            stored = _by_symbol(connection, table)
            expected = {symbol: frame for (symbol, t), frame in truth.items() if t is timeframe}
            for symbol in sorted({*stored, *expected}):
                problem = _problem(stored.get(symbol, []), expected.get(symbol))
                if problem:
                    found.append(f"{symbol} {timeframe.value}: {problem}")
    return found


def last_seq(database: ServerAddress) -> int:
    """Tell the seq of the last write."""
    with psycopg.connect(**database.connection_parameters()) as connection:  # type: ignore[arg-type]
        row = connection.execute("SELECT seq FROM bar_log_head").fetchone()
    assert row is not None
    return int(row[0])


def _by_symbol(connection: psycopg.Connection[Any], table: str) -> dict[str, list[Any]]:
    columns = ", ".join(_COLUMNS)
    # The names are this module's own.
    query = f"SELECT symbol, extract(epoch FROM time)::bigint, {columns} FROM {table} ORDER BY 1, 2"  # noqa: S608
    rows: dict[str, list[Any]] = {}
    for symbol, *row in connection.execute(query):  # type: ignore[arg-type]
        rows.setdefault(symbol, []).append(row)
    return rows


def _problem(rows: list[Any], frame: BarFrame | None) -> str:
    count = 0 if frame is None else len(frame)
    if len(rows) != count:
        return f"{len(rows)} bars instead of {count}"
    if frame is None:
        return ""
    values = np.array(rows, np.float64)
    expected = [frame.time_us / 1e6, *(getattr(frame, name) for name in _COLUMNS)]
    for name, own, other in zip(("time", *_COLUMNS), values.T, expected, strict=True):
        wrong = np.flatnonzero(own != other)
        if len(wrong):
            return f"{name} of bar {wrong[0]} is {own[wrong[0]]} instead of {other[wrong[0]]}"
    return ""
