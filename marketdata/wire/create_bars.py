"""Batches that are to be stored: their form checked, and for CreateBars every rule at once."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from bifrost.marketdata.v1 import bar_pb2, bars_service_pb2

from marketdata.domain.bar_rules import BrokenRule, check_bars
from marketdata.domain.bars import BarColumn, BarFlag, BarFrame, full_columns
from marketdata.domain.feed import DEFAULT_FEED
from marketdata.domain.timeframe import Timeframe
from marketdata.wire.bar_batch import PLAIN_ENCODING, frame_of, split_batch
from marketdata.wire.bars_requests import check_symbol, parse_timeframe
from marketdata.wire.violations import Violations

MOST_CREATED_BARS: Final = 5_000
MOST_UPLOADED_BARS: Final = 50_000
# Longest dictionaries of a batch.
_MOST_TEXTS: Final = 5_000
# Rows of one rule that are named one by one; the rest is counted.
_MOST_SAMPLES: Final = 5
_REQUIRED: Final = ("time_us", "open", "high", "low", "close")
_OPTIONAL: Final = ("volume", "vwap", "trade_count", "symbol_index", "feed_index")


def parse_create_bars(
    request: bars_service_pb2.CreateBarsRequest, now_us: int
) -> tuple[BarFrame, Timeframe]:
    """Check a CreateBarsRequest against every rule of the contract and of bars.

    Parameters
    ----------
    now_us : int
        Unix microseconds; bars that end later are refused.

    Returns
    -------
    (BarFrame, Timeframe)
        All columns; flags FINAL; `feed` as an index into `feeds`, which names what was sent.

    Raises
    ------
    InvalidRequestError, NotSupportedError
        With every violation; the rows of a broken rule as samples and a count.
    """
    frame, timeframe = parse_written_batch(request.batch, MOST_CREATED_BARS)
    violations = Violations()
    for broken in check_bars(frame, timeframe, now_us):
        _report(broken, violations)
    violations.raise_any()
    return frame, timeframe


def parse_written_batch(batch: bar_pb2.BarBatch, most_bars: int) -> tuple[BarFrame, Timeframe]:
    """Check the form of a batch that is to be stored, and complete it; its bars are not judged.

    Parameters
    ----------
    most_bars : int
        How many it may have.

    Returns
    -------
    (BarFrame, Timeframe)
        As `parse_create_bars`.

    Raises
    ------
    InvalidRequestError, NotSupportedError
        With every violation.
    """
    violations = Violations()
    # Alone, since what follows goes through the dictionaries: four megabytes hold two million texts.
    _check_sizes(batch, violations)
    violations.raise_any()
    # The parser keeps what it does not know, even what it would refuse to know.
    batch.DiscardUnknownFields()
    # Serialized once more, the columns are arrays; protobuf's lists cost a Python object a value.
    small, columns = split_batch(batch.SerializeToString())
    timeframe = parse_timeframe("batch.timeframe", small.timeframe, violations)
    _check_small_fields(small, violations)
    _check_columns(small, columns, most_bars, violations)
    violations.raise_any()
    return _complete(small, columns), timeframe


def _check_sizes(batch: bar_pb2.BarBatch, violations: Violations) -> None:
    for name, dictionary in (("symbols", batch.symbols), ("feeds", batch.feeds)):
        if len(dictionary) > _MOST_TEXTS:
            problem = f"has {len(dictionary)} entries; the most is {_MOST_TEXTS}"
            violations.add(f"batch.{name}", "TOO_MANY", problem)


def _check_small_fields(small: bar_pb2.BarBatch, violations: Violations) -> None:
    for position, symbol in enumerate(small.symbols):
        check_symbol(f"batch.symbols[{position}]", symbol, violations)
    if not small.symbols:
        violations.add("batch.symbols", "REQUIRED", "is empty; send the tickers of the bars")
    if len(set(small.symbols)) != len(small.symbols):
        problem = "has repeats; send each ticker once and refer to it by symbol_index"
        violations.add("batch.symbols", "DUPLICATE", problem)
    if small.adjustment not in (bar_pb2.ADJUSTMENT_UNSPECIFIED, bar_pb2.ADJUSTMENT_RAW):
        problem = "is not raw; send prices as traded, adjustment happens on read"
        violations.add("batch.adjustment", "NOT_RAW", problem)
    if small.encoding != PLAIN_ENCODING:
        problem = f"{small.encoding} is not known; send plain doubles and leave it out"
        violations.not_supported("batch.encoding", problem)


def _check_columns(
    small: bar_pb2.BarBatch,
    columns: Mapping[str, npt.NDArray[Any]],
    most_bars: int,
    violations: Violations,
) -> None:
    n = len(columns.get("time_us", ()))
    if n > most_bars:
        problem = f"has {n} bars; the most is {most_bars}: send them in parts"
        violations.add("batch.time_us", "TOO_MANY", problem)
    for name in _REQUIRED:
        if len(columns.get(name, ())) == 0:
            violations.add(f"batch.{name}", "REQUIRED", "is empty; send a value for every bar")
    for name in (*_REQUIRED[1:], *_OPTIONAL):
        length = len(columns.get(name, ()))
        if length not in (0, n):
            problem = f"has {length} values and time_us {n}; all columns have the same length"
            violations.add(f"batch.{name}", "LENGTH_MISMATCH", problem)
    for name, dictionary in (("symbol_index", small.symbols), ("feed_index", small.feeds)):
        index = columns.get(name, np.empty(0))
        if len(index) and index.max() >= len(dictionary):
            problem = f"has {index.max()}, past the dictionary's {len(dictionary)} entries"
            violations.add(f"batch.{name}", "INDEX_OUT_OF_RANGE", problem)


def _complete(small: bar_pb2.BarBatch, columns: Mapping[str, npt.NDArray[Any]]) -> BarFrame:
    if not small.feeds:
        small.feeds.append(DEFAULT_FEED)
    sent = frame_of(small, {k: v for k, v in columns.items() if k not in ("flags", "revision")})
    n = len(sent)
    given = {column: sent.column(column) for column in BarColumn if len(sent.column(column))}
    given[BarColumn.FLAGS] = np.full(n, BarFlag.FINAL, np.int16)
    return BarFrame(
        symbols=sent.symbols,
        symbol_index=sent.symbol_index,
        feeds=sent.feeds,
        **full_columns(n, given),
    )


def _report(broken: BrokenRule, violations: Violations) -> None:
    for row in broken.rows[:_MOST_SAMPLES].tolist():
        field = f"batch.{broken.column.value}[{row}]"
        violations.add(field, broken.rule, broken.description)
    rest = len(broken.rows) - _MOST_SAMPLES
    if rest > 0:
        field = f"batch.{broken.column.value}"
        violations.add(field, broken.rule, f"{rest} more bars: {broken.description}")
