"""Bars as a read answers them: columns, what was applied to them, and other libraries' forms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from marketdata.client.answers import AppliedRead
from marketdata.client.conversion import numpy_columns, to_arrow, to_pandas
from marketdata.domain.bars import BarColumn, BarFrame, Float64Array, Int16Array, Int32Array, Int64Array

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """The answer of a read of bars.

    The columns are those of `frame`, and can be had from here: ``bars.close`` is ``bars.frame.close``.
    A column that was not asked for has length 0.

    Attributes
    ----------
    frame : BarFrame
        The columns, in the order asked for; `feed` is a key into `feeds`.
    applied : AppliedRead
        What the service applied, and the snapshot that the bars were read from.
    columns : tuple of BarColumn
        Those that were asked for, the time first.
    has_symbols : bool
        Whether a list of symbols was asked for: other forms then have a column `symbol`.
    """

    frame: BarFrame
    applied: AppliedRead
    columns: tuple[BarColumn, ...]
    has_symbols: bool

    def __len__(self) -> int:
        """How many bars."""
        return len(self.frame)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Dictionary of the symbols."""
        return self.frame.symbols

    @property
    def feeds(self) -> Mapping[int, str]:
        """Names (``provider/feed``) of the keys in `feed`."""
        return self.frame.feeds

    @property
    def time_us(self) -> Int64Array:
        """Open of each bar, int64[n], Unix microseconds UTC; daily: the session date at 00:00:00."""
        return self.frame.time_us

    @property
    def open(self) -> Float64Array:
        """First price, float64[n], quote currency a share."""
        return self.frame.open

    @property
    def high(self) -> Float64Array:
        """Highest price, float64[n], quote currency a share."""
        return self.frame.high

    @property
    def low(self) -> Float64Array:
        """Lowest price, float64[n], quote currency a share."""
        return self.frame.low

    @property
    def close(self) -> Float64Array:
        """Last price, float64[n], quote currency a share."""
        return self.frame.close

    @property
    def volume(self) -> Float64Array:
        """Shares traded, float64[n]; NaN where missing, 0 where nothing traded."""
        return self.frame.volume

    @property
    def vwap(self) -> Float64Array:
        """Volume-weighted average price, float64[n]; NaN where missing."""
        return self.frame.vwap

    @property
    def trade_count(self) -> Int64Array:
        """Trades within the bar, int64[n]; -1 where missing."""
        return self.frame.trade_count

    @property
    def feed(self) -> Int16Array:
        """Key into `feeds`, int16[n]."""
        return self.frame.feed

    @property
    def flags(self) -> Int16Array:
        """Bits of `BarFlag`, int16[n]."""
        return self.frame.flags

    @property
    def revision(self) -> Int32Array:
        """How often the bar changed since it was first stored, int32[n]."""
        return self.frame.revision

    def column(self, column: BarColumn) -> npt.NDArray[Any]:
        """Return the array of `column`; of length 0 where it was not asked for."""
        return self.frame.column(column)

    def row_symbol_index(self) -> Int32Array:
        """Index into `symbols` for every row, int32[n]."""
        return self.frame.row_symbol_index()

    def to_numpy(self) -> dict[str, npt.NDArray[Any]]:
        """Give the columns that were asked for by name, without a copy.

        Returns
        -------
        dict of str to array
            ``time`` (datetime64[us], UTC; daily: the session date) first, then as in the frame;
            ``symbol`` and ``feed`` as arrays of str.
        """
        return numpy_columns(self.frame, self.columns, with_symbols=self.has_symbols)

    def to_pandas(self) -> "pd.DataFrame":
        """Copy the columns that were asked for into a DataFrame of its own memory.

        Returns
        -------
        pandas.DataFrame
            Its index ``time`` is in UTC; of daily bars it is the session date, without a time zone: in
            another zone midnight UTC would be the day before. `symbol` (where several were asked for)
            and `feed` are categorical; `trade_count` is Int64 with NA where missing.

        Raises
        ------
        ImportError
            pandas is not installed; the message names the extra that brings it.
        """
        is_daily = self.applied.timeframe.value == "1d"
        columns = self.columns
        return to_pandas(self.frame, columns, is_daily=is_daily, with_symbols=self.has_symbols)

    def to_arrow(self) -> "pa.Table":
        """Give the columns that were asked for as an Arrow table, numbers without a copy.

        Returns
        -------
        pyarrow.Table
            `time` is a timestamp[us, UTC]; of daily bars, the session date, a timestamp[us] without a
            zone. `symbol` (where several were asked for) and `feed` are dictionaries; missing volumes,
            vwaps and trade counts are null. Its schema's metadata say what was applied.

        Raises
        ------
        ImportError
            pyarrow is not installed; the message names the extra that brings it.
        """
        applied = self.applied
        table = to_arrow(
            self.frame,
            self.columns,
            is_daily=applied.timeframe.value == "1d",
            with_symbols=self.has_symbols,
        )
        return table.replace_schema_metadata(
            {
                "marketdata.timeframe": applied.timeframe.value,
                "marketdata.adjustment": applied.adjustment.value,
                "marketdata.session": applied.session.value,
                "marketdata.snapshot_seq": str(applied.snapshot_seq),
            }
        )
