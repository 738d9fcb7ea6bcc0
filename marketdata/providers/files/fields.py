"""Kinds of files, what their columns can hold, and the headers that are recognised."""

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Final


class FileKind(Enum):
    """Kinds of files; the value is the suffix of their names."""

    CSV = "csv"
    PARQUET = "parquet"


class FileField(Enum):
    """What a column of a file holds; the value is its name in ``--map`` and in exported files."""

    SYMBOL = "symbol"
    TIME = "time"
    # Only where the time of day has a column of its own: the two are read as one text.
    DATE = "date"
    OPEN = "open"
    HIGH = "high"
    LOW = "low"
    CLOSE = "close"
    VOLUME = "volume"
    VWAP = "vwap"
    TRADE_COUNT = "trade_count"
    FEED = "feed"
    FLAGS = "flags"


PRICE_FIELDS: Final = (FileField.OPEN, FileField.HIGH, FileField.LOW, FileField.CLOSE)
REQUIRED_FIELDS: Final = (FileField.TIME, *PRICE_FIELDS)

# As `normal_header` leaves them. Only what cannot mean anything else: "adj close" is no close, "last"
# may be a quote, and Databento's "ts_event" comes with prices in billionths.
_ALIASES: Final[Mapping[FileField, str]] = MappingProxyType(
    {
        FileField.SYMBOL: "symbol ticker sym tickersymbol",
        FileField.TIME: "time timestamp datetime t ts opentime bartime windowstart",
        FileField.DATE: "date day sessiondate tradedate tradingdate tradingday",
        FileField.OPEN: "open o openprice",
        FileField.HIGH: "high h highprice",
        FileField.LOW: "low l lowprice",
        FileField.CLOSE: "close c closeprice closelast",
        FileField.VOLUME: "volume vol v",
        FileField.VWAP: "vwap vw wap",
        FileField.TRADE_COUNT: "tradecount trades n numtrades numberoftrades transactions barcount",
        FileField.FEED: "feed",
        FileField.FLAGS: "flags",
    }
)
_FIELD_OF: Final[Mapping[str, FileField]] = MappingProxyType(
    {alias: field for field, aliases in _ALIASES.items() for alias in aliases.split()}
)
_PRICE_LETTERS: Final = frozenset("ohlc")
_LEADING_NUMBER: Final = re.compile(r"^\d+\.\s*")
_PUNCTUATION: Final = re.compile(r"[^0-9a-z]")


def normal_header(header: str) -> str:
    """Reduce a header to its letters and digits: ``<Trade Count>`` and ``trade_count`` are one."""
    return _PUNCTUATION.sub("", _LEADING_NUMBER.sub("", header.strip().casefold()))


def recognise(headers: Sequence[str]) -> list[FileField | None]:
    """Tell what columns with these headers hold; None where that is not certain."""
    names = [normal_header(header) for header in headers]
    # Alone, n can number the rows and t be a temperature; all of them together are Alpaca's names.
    has_letters = _PRICE_LETTERS.issubset(names)
    return [_FIELD_OF.get(name) if len(name) > 1 or has_letters else None for name in names]
