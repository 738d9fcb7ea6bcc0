"""The sample's text turned into columns: pure, no loop per bar."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import BarColumn, BarFlag, BarFrame, full_columns
from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.symbol import NewSymbol
from marketdata.providers.sample.dividends import sample_actions

SAMPLE_FEED: Final = "sample/eod"
SAMPLE_HEADER: Final = "Ticker,Date,Open,High,Low,Close,Volume,Adj Close"

_ROW: Final = np.dtype(
    [
        # Wider than any ticker of the sample: loadtxt cuts what does not fit without a word, and
        # GOOGL must not pass for GOOG.
        ("ticker", "U8"),
        ("date", "datetime64[D]"),
        ("open", np.float64),
        ("high", np.float64),
        ("low", np.float64),
        ("close", np.float64),
        ("volume", np.float64),
        ("adjusted_close", np.float64),
    ]
)

# As the companies were called and quoted when these bars were made. Two tickers mean another
# share today: FB became META on 2022-06-09, and the GOOG of these bars is Google's class A share,
# GOOGL since 2014-04-03. No tick size: bars of all five hold prices off the cent. IBM was listed
# long before its series; the date is left out because sources differ.
SAMPLE_COMPANIES: Final[Mapping[str, NewSymbol]] = MappingProxyType(
    {
        company.symbol: company
        for company in (
            NewSymbol("AAPL", "Apple Inc.", venue="XNAS", ipo_date=date(1980, 12, 12)),
            NewSymbol("FB", "Facebook, Inc. Class A", venue="XNAS", ipo_date=date(2012, 5, 18)),
            NewSymbol("GOOG", "Google Inc. Class A", venue="XNAS", ipo_date=date(2004, 8, 19)),
            NewSymbol("IBM", "International Business Machines Corporation", venue="XNYS"),
            NewSymbol("MSFT", "Microsoft Corporation", venue="XNAS", ipo_date=date(1986, 3, 13)),
        )
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class SampleStock:
    """One stock of the sample.

    Attributes
    ----------
    symbol : NewSymbol
        What to create the symbol with.
    bars : BarFrame
        Raw daily bars of this one symbol, ascending by session; every column present: vwap NaN,
        trade_count -1, flags `BarFlag.FINAL`, revision 0, feed 0 (`SAMPLE_FEED`).
    actions : tuple of CorporateAction
        Splits and cash dividends with an ex-date among the bars, ascending by ex-date.
    """

    symbol: NewSymbol
    bars: BarFrame
    actions: tuple[CorporateAction, ...]


def parse_stocks(text: str) -> tuple[SampleStock, ...]:
    """Turn the sample's CSV text into stocks.

    Values pass through as supplied, also where they look wrong: AAPL's bar of 2003-01-29 repeats
    the prices of the session before, and the volume of MSFT's split session 2003-02-18 (28,707,750)
    looks halved.

    Parameters
    ----------
    text : str
        Header and one line a bar, sorted by ticker, then date; verified by `read_sample_text`.

    Returns
    -------
    tuple of SampleStock
        The stocks of the text in ascending order of their symbols.

    Raises
    ------
    ValueError
        The header, a value or a ticker is not of the sample: the text was not verified.
    """
    lines = text.splitlines()
    if lines[:1] != [SAMPLE_HEADER]:
        raise ValueError(f"the first line is {lines[:1]}, expected {SAMPLE_HEADER!r}")
    rows = np.loadtxt(lines[1:], dtype=_ROW, delimiter=",", ndmin=1)
    tickers = np.unique(rows["ticker"]).tolist()
    unknown = [ticker for ticker in tickers if ticker not in SAMPLE_COMPANIES]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: not among the stocks of the sample")
    return tuple(_to_stock(ticker, rows[rows["ticker"] == ticker]) for ticker in tickers)


def _to_stock(ticker: str, rows: npt.NDArray[Any]) -> SampleStock:
    bars = _to_bars(ticker, rows)
    adjusted_close = rows["adjusted_close"].copy()
    actions = sample_actions(ticker, bars, adjusted_close)
    return SampleStock(SAMPLE_COMPANIES[ticker], bars, actions)


def _to_bars(ticker: str, rows: npt.NDArray[Any]) -> BarFrame:
    given: dict[BarColumn, npt.NDArray[Any]] = {
        BarColumn.TIME: rows["date"].astype("datetime64[us]").astype(np.int64),
        BarColumn.FLAGS: np.full(len(rows), BarFlag.FINAL, np.int16),
    }
    for column in ("open", "high", "low", "close", "volume"):
        # A copy: a field of a structured array is strided and would keep all of `rows` alive.
        given[BarColumn(column)] = rows[column].copy()
    return BarFrame((ticker,), **full_columns(len(rows), given), feeds={0: SAMPLE_FEED})
