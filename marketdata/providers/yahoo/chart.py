"""Answers of Yahoo's chart as columns: pure.

::

    chart.result[0] {meta {currency, exchangeTimezoneName, tradingPeriods}, timestamp [],
                     indicators.quote[0] {open [], high [], low [], close [], volume []},
                     events {splits {}, dividends {}}}
    chart.error     {code, description}
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import BarColumn, Float64Array, Int64Array
from marketdata.domain.timeframe import MICROSECONDS_PER_SECOND, Timeframe
from marketdata.errors import ProviderAnswerError, ProviderSymbolError
from marketdata.providers.yahoo.trading_periods import TradingPeriods, parse_trading_periods

COLUMNS: Final = (
    BarColumn.OPEN,
    BarColumn.HIGH,
    BarColumn.LOW,
    BarColumn.CLOSE,
    BarColumn.VOLUME,
)
# How Yahoo says that it knows the symbol and has nothing of it in the range. HTTP 400.
_NOTHING_THERE: Final = "data doesn't exist for startdate"
# What it says of a symbol that it does not know, or that it knew once. HTTP 404.
_UNKNOWN: Final = "not found"
_SHOWN_CHARACTERS: Final = 200
_DEFAULT_ZONE: Final = "UTC"


@dataclass(frozen=True, slots=True)
class ChartEvent:
    """A split or a dividend of a chart.

    Attributes
    ----------
    time_us : int
        Open of its ex-date, Unix microseconds.
    value : float
        New shares for an old one, or the cash a share of today's.
    currency : str
        Of a dividend, where it is said; else empty.
    """

    time_us: int
    value: float
    currency: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """What a chart answers, in its own terms.

    Attributes
    ----------
    time_us : int64[n]
        Stamps of the rows, Unix microseconds: opens, and of the forming row its latest trade.
    columns : mapping of BarColumn to float64[n]
        `COLUMNS`, as if every later split had been before; NaN where there is nothing.
    splits, dividends : tuple of ChartEvent
        Ascending by time.
    time_zone : str
        IANA zone of the exchange.
    currency : str
        Of the prices, in Yahoo's spelling: ``USD``, and ``GBp`` for pence. Empty where it is not said.
    periods : TradingPeriods
        Sessions of intraday charts; empty where they are not said.
    """

    time_us: Int64Array
    columns: Mapping[BarColumn, Float64Array]
    splits: tuple[ChartEvent, ...]
    dividends: tuple[ChartEvent, ...]
    time_zone: str
    currency: str
    periods: TradingPeriods


def parse_chart(payload: Any, spelling: str) -> Chart:
    """Read a chart.

    Parameters
    ----------
    payload : Any
        The decoded JSON of an answer, whatever its HTTP status.
    spelling : str
        Of the symbol, as it was asked for.

    Returns
    -------
    Chart
        Without rows where Yahoo knows the symbol and has nothing in the range.

    Raises
    ------
    ProviderSymbolError
        Yahoo does not know the symbol.
    ProviderAnswerError
        It is no chart.
    """
    chart = _mapping(_mapping(payload, "answer").get("chart"), "chart")
    if chart.get("error"):
        return _read_error(_mapping(chart["error"], "error"), spelling)
    results = chart.get("result")
    if not isinstance(results, list) or not results:
        raise ProviderAnswerError("Yahoo's chart has neither a result nor an error")
    result = _mapping(results[0], "result")
    meta = _mapping(result.get("meta"), "meta")
    time_us = _times(result.get("timestamp") or [])
    events = _mapping(result.get("events") or {}, "events")
    return Chart(
        time_us,
        _columns(result, len(time_us)),
        _events(events.get("splits"), _split_ratio),
        _events(events.get("dividends"), _amount),
        str(meta.get("exchangeTimezoneName") or _DEFAULT_ZONE),
        str(meta.get("currency") or ""),
        parse_trading_periods(meta.get("tradingPeriods")),
    )


def _read_error(error: Mapping[str, Any], spelling: str) -> Chart:
    code, description = str(error.get("code", "")), str(error.get("description", ""))
    if code.casefold() == _UNKNOWN:
        raise ProviderSymbolError(unknown_symbol(spelling))
    if description.casefold().startswith(_NOTHING_THERE):
        none = np.zeros(0)
        columns = dict.fromkeys(COLUMNS, none)
        return Chart(
            np.zeros(0, np.int64), columns, (), (), _DEFAULT_ZONE, "", parse_trading_periods(None)
        )
    said = " ".join(f"{code}: {description}".split())[:_SHOWN_CHARACTERS]
    raise ProviderAnswerError(f"Yahoo answers {said!r} instead of a chart")


def unknown_symbol(spelling: str) -> str:
    """Say that Yahoo does not know a symbol, and what to do."""
    return (
        f"Yahoo does not know {spelling}, or has dropped it; if it has another spelling there, give it"
        " in the symbol's provider_symbols under yahoo"
    )


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ProviderAnswerError(f"Yahoo's chart has no {name} where its {name} should be")
    return value


def _times(values: Any) -> Int64Array:
    seconds = numbers(values, "timestamp", None)
    earliest_s, latest_s = (
        bound_us / MICROSECONDS_PER_SECOND
        for bound_us in (Timeframe.DAY_1.earliest_us, Timeframe.DAY_1.latest_us)
    )
    # NaN fails too.
    if not ((seconds >= earliest_s) & (seconds < latest_s)).all():
        raise ProviderAnswerError("Yahoo's chart has times that no bar can have")
    return seconds.astype(np.int64) * MICROSECONDS_PER_SECOND


def _columns(result: Mapping[str, Any], n: int) -> dict[BarColumn, Float64Array]:
    if n == 0:
        return dict.fromkeys(COLUMNS, np.zeros(0))
    quotes = _mapping(result.get("indicators"), "indicators").get("quote")
    if not isinstance(quotes, list) or not quotes:
        raise ProviderAnswerError("Yahoo's chart has times and no prices")
    quote = _mapping(quotes[0], "quote")
    return {column: numbers(quote.get(column.value), column.value, n) for column in COLUMNS}


def numbers(values: Any, name: str, n: int | None) -> npt.NDArray[np.float64]:
    """Turn a list of JSON into float64[n], null into NaN.

    Raises
    ------
    ProviderAnswerError
        It is no list of numbers, or not of `n`.
    """
    if not isinstance(values, list) or (n is not None and len(values) != n):
        raise ProviderAnswerError(f"Yahoo's chart has no {name} for each of its times")
    try:
        array = np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.zeros((0, 0))
    if array.ndim != 1:
        raise ProviderAnswerError(f"Yahoo's chart has a {name} that is no number")
    return array


def _events(events: Any, value_of: Any) -> tuple[ChartEvent, ...]:
    found = [
        ChartEvent(
            int(_times([event.get("date")])[0]), value_of(event), str(event.get("currency") or "")
        )
        for event in _each(events)
    ]
    # Some are listed under two stamps.
    return tuple(sorted(dict.fromkeys(found), key=lambda event: event.time_us))


def _each(events: Any) -> Iterable[Mapping[str, Any]]:
    listed = _mapping(events or {}, "events").values()
    return (_mapping(event, "event") for event in listed)


def _split_ratio(event: Mapping[str, Any]) -> float:
    new, old = numbers([event.get("numerator"), event.get("denominator")], "split", 2).tolist()
    # Without a ratio nothing before it can be brought back to what it was. NaN fails too.
    if not (0 < new < np.inf and 0 < old < np.inf):
        raise ProviderAnswerError(f"Yahoo lists a split of {new:g} for {old:g}, which is none")
    return float(new / old)


def _amount(event: Mapping[str, Any]) -> float:
    return float(numbers([event.get("amount")], "dividend", 1)[0])
