"""Frames in the forms of numpy, pandas and Arrow.

pandas and Arrow are extras: they are imported only by those who ask for their forms.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import MISSING_TRADE_COUNT, BarColumn, BarFrame

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def numpy_columns(
    frame: BarFrame, columns: Sequence[BarColumn], *, with_symbols: bool
) -> dict[str, npt.NDArray[Any]]:
    """Give columns by name: views of the frame's arrays, texts looked up."""
    found: dict[str, npt.NDArray[Any]] = {"time": frame.time_us.view("datetime64[us]")}
    if with_symbols:
        found["symbol"] = np.array(frame.symbols or [""])[frame.row_symbol_index()]
    for column in columns:
        if column is BarColumn.FEED:
            keys, names = _feed_codes(frame)
            found["feed"] = np.array(names or [""])[keys]
        elif column is not BarColumn.TIME:
            found[column.value] = frame.column(column)
    return found


def to_pandas(
    frame: BarFrame, columns: Sequence[BarColumn], *, is_daily: bool, with_symbols: bool
) -> "pd.DataFrame":
    """Copy columns into a DataFrame; see `Bars.to_pandas`.

    Raises
    ------
    ImportError
        pandas is not installed.
    """
    with _extra("pandas"):
        import pandas as pd  # noqa: PLC0415 -- an extra
    index = pd.DatetimeIndex(frame.time_us.view("datetime64[us]"), name="time")
    if not is_daily:
        index = index.tz_localize("UTC")
    data: dict[str, Any] = {}
    if with_symbols:
        data["symbol"] = pd.Categorical.from_codes(frame.row_symbol_index(), pd.Index(frame.symbols))
    for column in columns:
        values = frame.column(column)
        if column is BarColumn.FEED:
            codes, names = _feed_codes(frame)
            data["feed"] = pd.Categorical.from_codes(codes, pd.Index(names))
        elif column is BarColumn.TRADE_COUNT:
            missing = values == MISSING_TRADE_COUNT
            data[column.value] = pd.arrays.IntegerArray(values, missing, copy=True)
        elif column is not BarColumn.TIME:
            data[column.value] = values
    return pd.DataFrame(data, index=index)


def to_arrow(
    frame: BarFrame, columns: Sequence[BarColumn], *, is_daily: bool, with_symbols: bool
) -> "pa.Table":
    """Make an Arrow table of columns; see `Bars.to_arrow`.

    Raises
    ------
    ImportError
        pyarrow is not installed.
    """
    with _extra("pyarrow", extra="arrow"):
        import pyarrow as pa  # noqa: PLC0415 -- an extra
    zone = None if is_daily else "UTC"
    data: dict[str, Any] = {"time": pa.array(frame.time_us).cast(pa.timestamp("us", zone))}
    if with_symbols:
        symbols = pa.array(frame.symbols, pa.string())
        data["symbol"] = pa.DictionaryArray.from_arrays(frame.row_symbol_index(), symbols)
    for column in columns:
        values = frame.column(column)
        if column is BarColumn.FEED:
            codes, names = _feed_codes(frame)
            data["feed"] = pa.DictionaryArray.from_arrays(codes, pa.array(names, pa.string()))
        elif column in {BarColumn.VOLUME, BarColumn.VWAP}:
            data[column.value] = _with_nulls(pa, values, np.isnan(values))
        elif column is BarColumn.TRADE_COUNT:
            data[column.value] = _with_nulls(pa, values, values == MISSING_TRADE_COUNT)
        elif column is not BarColumn.TIME:
            data[column.value] = pa.array(values)
    return pa.table(data)


def _feed_codes(frame: BarFrame) -> tuple[npt.NDArray[np.int32], list[str]]:
    """Turn the feeds' keys into positions in a list of their names."""
    positions = np.zeros(max(frame.feeds, default=0) + 1, np.int32)
    positions[list(frame.feeds)] = np.arange(len(frame.feeds))
    return positions[frame.feed], list(frame.feeds.values())


def _with_nulls(pa: Any, values: npt.NDArray[Any], missing: npt.NDArray[np.bool_]) -> Any:
    return pa.array(values, mask=missing) if missing.any() else pa.array(values)


@contextmanager
def _extra(module: str, extra: str | None = None) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise ImportError(
            f"this needs {module}, which is not installed; the extra brings it: "
            f"pip install 'bifrost-marketdata[{extra or module}]'",
            name=module,
        ) from error
