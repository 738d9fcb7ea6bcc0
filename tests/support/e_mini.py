"""Real minutes: the E-mini S&P of 1 to 3 September 2013, from half a million trades."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from marketdata.domain.bars import BarFrame
from tests.support.sessions import walk


def read_trades() -> Any:
    """Read the trades, by Chicago's clock, with price, volume and what was paid."""
    spec = find_spec("mlfinpy")
    assert spec is not None
    assert spec.submodule_search_locations
    path = Path(spec.submodule_search_locations[0]) / "dataset" / "data" / "tick_data.csv"
    table = pd.read_csv(path, parse_dates=["DateTime"])
    table["time"] = table["DateTime"].dt.tz_localize("America/Chicago").dt.tz_convert("UTC")
    table["Notional"] = table["Price"] * table["Volume"]
    return table.set_index("time")


def bars_of_trades(groups: Any) -> Any:
    """Make bars of grouped trades, with the true volume-weighted average."""
    bars: Any = pd.DataFrame(groups["Price"].ohlc())
    bars["volume"] = groups["Volume"].sum().astype(float)
    bars["trade_count"] = groups.size().astype(float)
    bars["vwap"] = groups["Notional"].sum() / bars["volume"]
    return bars[bars["trade_count"] > 0]


def minutes_of_trades(trades: Any) -> BarFrame:
    """Make the minutes of the trades."""
    bars = bars_of_trades(trades.resample("1min"))
    times_us = bars.index.tz_convert(None).to_numpy().astype("datetime64[us]").astype(np.int64)
    columns = ("open", "high", "low", "close", "volume", "vwap", "trade_count")
    given: dict[str, Any] = {column: bars[column].to_numpy() for column in columns}
    given["trade_count"] = given["trade_count"].astype(np.int64)
    return walk(times_us, symbol="ESU13", **given)
