"""Bars as columns: the frame that every layer passes on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum, IntFlag
from itertools import compress, pairwise
from types import MappingProxyType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]
Int16Array = npt.NDArray[np.int16]

MISSING_TRADE_COUNT: Final = -1


class BarFlag(IntFlag):
    """Bits of the `flags` column."""

    FINAL = 1
    DERIVED = 2
    EXTENDED_SESSION = 4


class BarColumn(Enum):
    """A column of a frame; the value is its name in frames, SQL and the wire."""

    TIME = "time_us"
    OPEN = "open"
    HIGH = "high"
    LOW = "low"
    CLOSE = "close"
    VOLUME = "volume"
    VWAP = "vwap"
    TRADE_COUNT = "trade_count"
    FEED = "feed"
    FLAGS = "flags"
    REVISION = "revision"


COLUMN_DTYPES: Final[Mapping[BarColumn, np.dtype[Any]]] = MappingProxyType(
    {
        BarColumn.TIME: np.dtype(np.int64),
        BarColumn.OPEN: np.dtype(np.float64),
        BarColumn.HIGH: np.dtype(np.float64),
        BarColumn.LOW: np.dtype(np.float64),
        BarColumn.CLOSE: np.dtype(np.float64),
        BarColumn.VOLUME: np.dtype(np.float64),
        BarColumn.VWAP: np.dtype(np.float64),
        BarColumn.TRADE_COUNT: np.dtype(np.int64),
        BarColumn.FEED: np.dtype(np.int16),
        BarColumn.FLAGS: np.dtype(np.int16),
        BarColumn.REVISION: np.dtype(np.int32),
    }
)
ALL_COLUMNS: Final = frozenset(BarColumn)
PRICE_COLUMNS: Final = (BarColumn.OPEN, BarColumn.HIGH, BarColumn.LOW, BarColumn.CLOSE)


def _no_float64() -> Float64Array:
    return np.empty(0, np.float64)


def _no_int64() -> Int64Array:
    return np.empty(0, np.int64)


def _no_int32() -> Int32Array:
    return np.empty(0, np.int32)


def _no_int16() -> Int16Array:
    return np.empty(0, np.int16)


@dataclass(frozen=True, slots=True, eq=False)
class BarFrame:
    """Bars of one or many symbols as equal-length columns.

    A column that was not asked for is absent: an array of length 0. `time_us` is always there.

    Attributes
    ----------
    symbols : tuple of str
        Dictionary of the symbols.
    time_us : int64[n]
        Open of each bar, Unix microseconds UTC. For daily bars the session date at 00:00:00 UTC.
    open, high, low, close : float64[n]
        Quote currency a share, raw unless a reader adjusted them.
    volume : float64[n]
        Shares; NaN where missing, 0 where nothing traded.
    vwap : float64[n]
        Quote currency a share; NaN where missing.
    trade_count : int64[n]
        Trades within the bar; -1 where missing.
    feed : int16[n]
        Key into `feeds`.
    flags : int16[n]
        Bits of `BarFlag`.
    revision : int32[n]
        0 as first stored, one more for every change since.
    symbol_index : int32[n]
        Row's symbol as an index into `symbols`; length 0 where every row is `symbols[0]`.
    feeds : mapping of int to str
        Names (``provider/feed``) of the keys in `feed`.
    """

    symbols: tuple[str, ...]
    time_us: Int64Array
    open: Float64Array = field(default_factory=_no_float64)
    high: Float64Array = field(default_factory=_no_float64)
    low: Float64Array = field(default_factory=_no_float64)
    close: Float64Array = field(default_factory=_no_float64)
    volume: Float64Array = field(default_factory=_no_float64)
    vwap: Float64Array = field(default_factory=_no_float64)
    trade_count: Int64Array = field(default_factory=_no_int64)
    feed: Int16Array = field(default_factory=_no_int16)
    flags: Int16Array = field(default_factory=_no_int16)
    revision: Int32Array = field(default_factory=_no_int32)
    symbol_index: Int32Array = field(default_factory=_no_int32)
    feeds: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Hold every column to its dtype and to the length of `time_us`.

        Raises
        ------
        ValueError
            For a column of another dtype, shape or length: a defect of the caller.
        """
        n = self.time_us.shape[0]
        for column, dtype in COLUMN_DTYPES.items():
            array = self.column(column)
            if array.dtype != dtype or array.ndim != 1 or array.shape[0] not in (0, n):
                msg = f"{column.value}: {array.dtype}{array.shape}, expected {dtype}({n},)"
                raise ValueError(msg)
        index = self.symbol_index
        if index.dtype != np.int32 or index.ndim != 1 or index.shape[0] not in (0, n):
            msg = f"symbol_index: {index.dtype}{index.shape}, expected int32(0,) or int32({n},)"
            raise ValueError(msg)

    def __len__(self) -> int:
        """How many bars."""
        return int(self.time_us.shape[0])

    def column(self, column: BarColumn) -> npt.NDArray[Any]:
        """Return the array of `column`; of length 0 where it is absent."""
        array: npt.NDArray[Any] = getattr(self, column.value)
        return array

    def row_symbol_index(self) -> Int32Array:
        """Index into `symbols` for every row, int32[n], also where all rows are of one symbol."""
        if self.symbol_index.shape[0] == len(self):
            return self.symbol_index
        return np.zeros(len(self), np.int32)

    def take(self, rows: npt.NDArray[Any] | slice) -> Self:
        """Return the bars at `rows`, every column alike: a mask, positions, or a slice.

        The columns of a slice are views, not copies.
        """
        picked: dict[str, Any] = {
            f.name: getattr(self, f.name)[rows]
            for f in fields(self)
            if f.name not in ("symbols", "feeds") and len(getattr(self, f.name)) == len(self)
        }
        return replace(self, **picked)

    def sorted_by_symbol_time(self) -> Self:
        """Return the same bars ordered by symbol text, then time, and `symbols` by text too.

        Itself where they already are.
        """
        if self._is_sorted():
            return self
        order = np.argsort(np.array(self.symbols)) if self.symbols else np.empty(0, np.int64)
        rank = np.empty(len(self.symbols), np.int32)
        rank[order] = np.arange(len(self.symbols))
        rows = np.lexsort((self.time_us, rank[self.row_symbol_index()]))
        is_ordered = np.array_equal(rows, np.arange(len(self)))
        if is_ordered and np.array_equal(order, rank):
            return self
        ordered = self if is_ordered else self.take(rows)
        symbols = tuple(self.symbols[position] for position in order.tolist())
        return replace(ordered, symbols=symbols, symbol_index=rank[ordered.row_symbol_index()])

    def _is_sorted(self) -> bool:
        """Whether no sort is needed; a tenth of its time."""
        moves_on = np.diff(self.row_symbol_index())
        is_later = np.diff(self.time_us) > 0
        return (
            all(one < other for one, other in pairwise(self.symbols))
            and bool((moves_on >= 0).all())
            and bool((is_later | (moves_on > 0)).all())
        )

    def with_used_symbols(self) -> Self:
        """Return the same bars with a dictionary of only the symbols that they have."""
        index = self.row_symbol_index()
        is_used = np.bincount(index, minlength=len(self.symbols)) > 0
        if is_used.all():
            return self
        symbols = tuple(compress(self.symbols, is_used.tolist()))
        position = np.cumsum(is_used, dtype=np.int32) - 1
        return replace(self, symbols=symbols, symbol_index=position[index])

    def time_bounds(self) -> tuple[int, int]:
        """Least and greatest `time_us`; the frame must not be empty."""
        return int(self.time_us.min()), int(self.time_us.max())

    @classmethod
    def empty(cls, symbols: tuple[str, ...]) -> "BarFrame":
        """Make a frame of no bars."""
        return cls(symbols=symbols, time_us=np.empty(0, np.int64))

    @classmethod
    def concatenate(cls, frames: Sequence["BarFrame"]) -> "BarFrame":
        """Join frames of the same dictionaries and columns, in order; at least one.

        Raises
        ------
        ValueError
            The frames have different dictionaries: `merge_frames` joins those.
        """
        first = frames[0]
        if any(f.symbols != first.symbols or f.feeds != first.feeds for f in frames):
            raise ValueError("frames of different dictionaries")
        joined: dict[str, Any] = {
            f.name: np.concatenate([getattr(frame, f.name) for frame in frames])
            for f in fields(cls)
            if f.name not in ("symbols", "feeds")
        }
        return replace(first, **joined)


def full_columns(n: int, given: Mapping[BarColumn, npt.NDArray[Any]]) -> dict[str, Any]:
    """Complete some columns to all of a frame's, by the marks for missing values.

    Parameters
    ----------
    n : int
        How many bars.
    given : mapping of BarColumn to array
        The columns that are known; lengths n.

    Returns
    -------
    dict
        Keyword arguments for `BarFrame`: volume and vwap NaN, trade_count -1, the rest 0.
    """
    marks: Mapping[BarColumn, float] = {
        BarColumn.VOLUME: np.nan,
        BarColumn.VWAP: np.nan,
        BarColumn.TRADE_COUNT: MISSING_TRADE_COUNT,
    }
    return {
        column.value: given[column].astype(dtype, copy=False)
        if column in given
        else np.full(n, marks.get(column, 0), dtype)
        for column, dtype in COLUMN_DTYPES.items()
    }


def column_names(columns: Iterable[BarColumn]) -> list[str]:
    """Names of `columns` in the frame's order."""
    wanted = frozenset(columns)
    return [column.value for column in BarColumn if column in wanted]
