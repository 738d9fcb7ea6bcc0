"""Bars in the forms of numpy, pandas and Arrow."""

import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from marketdata.client import AppliedRead, BarOrder, Bars, SessionHours
from marketdata.client.collecting import joined
from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bars import BarColumn, BarFrame
from marketdata.domain.timeframe import Timeframe

MINUTE_US: Final = 60_000_000
# 2024-01-02 14:30 UTC.
OPEN_US: Final = 1_704_205_800_000_000
DAY_US: Final = 1_704_153_600_000_000
NAMES: Final = [
    "open", "high", "low", "close", "volume", "vwap", "trade_count", "feed", "flags", "revision",
]  # fmt: skip
EVERYTHING: Final = tuple(BarColumn)
NAN: Final = float("nan")


def applied(timeframe: Timeframe = Timeframe.MINUTE_1) -> AppliedRead:
    """Make what was applied to a raw read."""
    day = datetime(2024, 1, 2, tzinfo=UTC)
    return AppliedRead(
        timeframe=timeframe,
        source_timeframe=timeframe,
        adjustment=Adjustment.RAW,
        session=SessionHours.REGULAR,
        order=BarOrder.SYMBOL_TIME,
        start=day,
        end=day,
        unresolved_symbols=(),
        unadjusted_actions=(),
        read_time=day,
        snapshot_seq=42,
    )


def frame() -> BarFrame:
    """Make three bars of two symbols and two feeds, with what is missing marked so."""
    close = np.array([10.5, 11.5, 12.5])
    return BarFrame(
        symbols=("IBM", "AAPL"),
        symbol_index=np.array([0, 0, 1], np.int32),
        time_us=OPEN_US + np.arange(3, dtype=np.int64) * MINUTE_US,
        open=close,
        high=close + 1,
        low=close - 1,
        close=close,
        volume=np.array([100.0, 0.0, NAN]),
        vwap=np.array([NAN, 11.0, NAN]),
        trade_count=np.array([-1, 0, 7]),
        feed=np.array([3, 1, 3], np.int16),
        flags=np.array([1, 3, 1], np.int16),
        revision=np.array([0, 1, 2], np.int32),
        feeds={3: "alpaca/sip", 1: "manual/upload"},
    )


def bars(
    columns: tuple[BarColumn, ...] = EVERYTHING,
    timeframe: Timeframe = Timeframe.MINUTE_1,
    *,
    has_symbols: bool = True,
) -> Bars:
    """Make an answer of `frame`."""
    return Bars(frame(), applied(timeframe), columns, has_symbols=has_symbols)


def daily() -> Bars:
    """Make an answer of one daily bar."""
    one = replace(frame().take(np.array([0])), time_us=np.array([DAY_US]))
    return Bars(one, applied(Timeframe.DAY_1), EVERYTHING, has_symbols=False)


def empty() -> Bars:
    """Make an answer without bars."""
    return Bars(BarFrame.empty(("IBM", "AAPL")), applied(), EVERYTHING, has_symbols=True)


def test_bars_given_frame_have_its_columns() -> None:
    """What is asked most often needs no detour."""
    found = bars()
    for column in BarColumn:
        assert getattr(found, column.value) is found.frame.column(column)
        assert found.column(column) is found.frame.column(column)
    assert len(found) == 3
    assert (found.symbols, found.feeds) == (found.frame.symbols, found.frame.feeds)
    assert found.row_symbol_index().tolist() == [0, 0, 1]


def test_to_numpy_given_bars_gives_columns_by_name_without_copies() -> None:
    """Times are datetimes, texts are texts, numbers are the frame's own arrays."""
    found = bars()
    columns = found.to_numpy()
    assert list(columns) == ["time", "symbol", *NAMES]
    assert columns["time"].dtype == np.dtype("datetime64[us]")
    assert columns["time"][1] == np.datetime64("2024-01-02T14:31:00")
    assert columns["symbol"].tolist() == ["IBM", "IBM", "AAPL"]
    assert columns["feed"].tolist() == ["alpaca/sip", "manual/upload", "alpaca/sip"]
    assert columns["close"] is found.close
    assert np.shares_memory(columns["time"], found.time_us)


def test_to_pandas_given_bars_gives_a_frame_by_time() -> None:
    """Times in UTC, texts categorical, missing counts NA instead of a number to stumble over."""
    table = bars().to_pandas()
    assert list(table.columns) == ["symbol", *NAMES]
    assert table.index.name == "time"
    assert table.index[0] == pd.Timestamp("2024-01-02 14:30", tz="UTC")
    assert str(table.index.dtype) == "datetime64[us, UTC]"
    assert table["symbol"].tolist() == ["IBM", "IBM", "AAPL"]
    assert table["feed"].tolist() == ["alpaca/sip", "manual/upload", "alpaca/sip"]
    assert table["trade_count"].isna().tolist() == [True, False, False]
    assert table["trade_count"].dtype == pd.Int64Dtype()
    assert table["volume"].isna().tolist() == [False, False, True]
    assert table["close"].tolist() == [10.5, 11.5, 12.5]


def test_to_pandas_given_writes_to_it_leaves_the_bars() -> None:
    """The table has memory of its own."""
    found = bars()
    table = found.to_pandas()
    table.iloc[:, 1:5] = 0.0
    table["trade_count"] = table["trade_count"].fillna(5)
    assert found.close.tolist() == [10.5, 11.5, 12.5]
    assert found.trade_count.tolist() == [-1, 0, 7]


def test_to_pandas_given_daily_bars_has_dates_without_a_zone() -> None:
    """A label stays the same day, wherever it is looked at."""
    table = daily().to_pandas()
    assert list(table.columns) == NAMES
    assert table.index.tolist() == [pd.Timestamp("2024-01-02")]
    assert table.index.dtype == np.dtype("datetime64[us]")


def test_to_arrow_given_bars_gives_nulls_where_values_are_missing() -> None:
    """Numbers without missing values are the frame's own memory; the schema says what was applied."""
    found = bars()
    table = found.to_arrow()
    assert table.column_names == ["time", "symbol", *NAMES]
    assert table.schema.field("time").type == pa.timestamp("us", "UTC")
    assert table["symbol"].to_pylist() == ["IBM", "IBM", "AAPL"]
    assert table["feed"].to_pylist() == ["alpaca/sip", "manual/upload", "alpaca/sip"]
    assert table["volume"].to_pylist() == [100.0, 0.0, None]
    assert table["vwap"].to_pylist() == [None, 11.0, None]
    assert table["trade_count"].to_pylist() == [None, 0, 7]
    (chunk,) = table["close"].chunks
    assert np.shares_memory(chunk.to_numpy(), found.close)
    assert table.schema.metadata[b"marketdata.snapshot_seq"] == b"42"
    assert daily().to_arrow().schema.field("time").type == pa.timestamp("us")


@pytest.mark.parametrize("has_symbols", [False, True])
def test_forms_given_some_columns_have_only_them(*, has_symbols: bool) -> None:
    """The columns follow from the call alone, also where there are no bars."""
    columns = (BarColumn.TIME, BarColumn.CLOSE, BarColumn.FEED)
    texts = ["symbol"] if has_symbols else []
    for found in (
        bars(columns, has_symbols=has_symbols),
        replace(empty(), columns=columns, has_symbols=has_symbols),
    ):
        assert list(found.to_numpy()) == ["time", *texts, "close", "feed"]
        assert list(found.to_pandas().columns) == [*texts, "close", "feed"]
        assert found.to_arrow().column_names == ["time", *texts, "close", "feed"]


def test_forms_given_no_bars_are_empty_with_the_same_types() -> None:
    """An empty answer can be put beside a full one."""
    assert [str(t) for t in empty().to_pandas().dtypes] == [str(t) for t in bars().to_pandas().dtypes]
    assert empty().to_arrow().schema.equals(bars().to_arrow().schema)
    assert all(len(column) == 0 for column in empty().to_numpy().values())


@pytest.mark.parametrize(
    ("module", "extra", "form"),
    [("pandas", "pandas", "to_pandas"), ("pyarrow", "arrow", "to_arrow")],
)
def test_forms_given_missing_package_name_the_extra(
    monkeypatch: pytest.MonkeyPatch, module: str, extra: str, form: str
) -> None:
    """A person reads what to install."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"bifrost-marketdata\[{extra}\]"):
        getattr(bars(), form)()


def test_joined_given_views_of_alike_frames_copies_them_into_own_arrays() -> None:
    """One dictionary: columns are concatenated, and the parts' memory is free again."""
    parts = [frame().take(np.array([row])) for row in range(3)]
    whole = joined(parts, ("IBM", "AAPL"))
    assert whole.symbols == ("IBM", "AAPL")
    assert whole.symbol_index.tolist() == [0, 0, 1]
    assert whole.close.flags.owndata
    assert not np.shares_memory(whole.close, parts[0].close)
    assert joined(parts[:1], ()).close.flags.owndata


def test_joined_given_other_dictionaries_looks_them_up() -> None:
    """Batches can name dictionaries of their own, and leave out an index that is all zeros."""
    one = replace(frame().take(np.array([0])), symbols=("IBM",), symbol_index=np.empty(0, np.int32))
    two = replace(frame(), feeds={3: "yahoo/chart", 1: "manual/upload"})
    whole = joined([one, two], ())
    assert [whole.symbols[i] for i in whole.row_symbol_index()] == ["IBM", "IBM", "IBM", "AAPL"]
    assert [whole.feeds[key] for key in whole.feed.tolist()] == [
        "alpaca/sip", "yahoo/chart", "manual/upload", "yahoo/chart",
    ]  # fmt: skip
    assert joined([], ("X",)).symbols == ("X",)
