"""Alpaca's answers turned into columns and actions: pure.

https://docs.alpaca.markets/reference/stockbarsingle-1 and
https://docs.alpaca.markets/reference/corporateactions-1 describe them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import BarColumn, Int64Array
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.errors import ProviderAnswerError, ProviderSymbolError
from marketdata.providers.http.answer import HttpAnswer
from marketdata.providers.http.caller import expect_ok
from marketdata.providers.iex.rows import to_columns
from marketdata.providers.local_times import to_utc_us

#: Midnight of this clock is what Alpaca stamps daily bars with.
DAY_ZONE: Final = ZoneInfo("America/New_York")

#: Where the columns of a bar stand, in pages and in messages of the stream.
BAR_FIELDS: Final[Mapping[BarColumn, str]] = {
    BarColumn.OPEN: "o",
    BarColumn.HIGH: "h",
    BarColumn.LOW: "l",
    BarColumn.CLOSE: "c",
    BarColumn.VOLUME: "v",
    BarColumn.VWAP: "vw",
    BarColumn.TRADE_COUNT: "n",
}
# 400: a malformed symbol; 404 and 422: one that it cannot serve.
_REFUSALS: Final = frozenset({400, 404, 422})
_QUOTED_LENGTH: Final = 160


@dataclass(frozen=True, slots=True, eq=False)
class AlpacaPage:
    """A page of bars.

    Attributes
    ----------
    columns : dict of BarColumn to array
        Opens in UTC (session labels of daily bars), prices, volume, vwap, trade count.
    token : str or None
        Of the next page.
    """

    columns: dict[BarColumn, npt.NDArray[Any]]
    token: str | None


def parse_bars(answer: HttpAnswer, symbol: str, timeframe: Timeframe) -> AlpacaPage:
    """Turn a page of bars into columns.

    A symbol that Alpaca has never heard of has ``bars`` of null, just as one that did not trade.

    Raises
    ------
    ProviderSymbolError
        It refuses the symbol.
    ProviderAnswerError
        It is not what the documentation says.
    """
    document = _document(answer, symbol)
    if "bars" not in document or str(document.get("symbol", symbol)).upper() != symbol.upper():
        raise ProviderAnswerError("the answer has no bars, or those of another symbol")
    rows = document["bars"] or []
    if not isinstance(rows, list):
        raise ProviderAnswerError("the bars are not a list")
    columns = to_columns(rows, "t", BAR_FIELDS)
    if timeframe is Timeframe.DAY_1:
        columns[BarColumn.TIME] = _session_labels(columns[BarColumn.TIME])
    return AlpacaPage(columns, _token(document))


def _session_labels(time_us: Int64Array) -> Int64Array:
    """Turn midnights of New York, 04:00 or 05:00 UTC, into session labels; refuse anything else."""
    labels = time_us - time_us % MICROSECONDS_PER_DAY
    if np.any(to_utc_us(labels, DAY_ZONE) != time_us):
        raise ProviderAnswerError("a daily bar is not stamped with midnight in New York")
    return labels


def parse_actions(answer: HttpAnswer, symbol: str) -> tuple[list[CorporateAction], str | None]:
    """Turn a page of corporate actions into actions, and the token of the next page.

    Raises
    ------
    ProviderSymbolError, ProviderAnswerError
        As `parse_bars` says.
    """
    document = _document(answer, symbol)
    groups = document.get("corporate_actions")
    if not isinstance(groups, Mapping):
        raise ProviderAnswerError("the answer has no corporate actions")
    try:
        actions = [
            make(event)
            for name, make in _MAKERS.items()
            for event in groups.get(name) or []
            if str(event["symbol"]).upper() == symbol.upper()
        ]
    except (KeyError, TypeError, ValueError, ZeroDivisionError, AttributeError):
        problem = ProviderAnswerError("the corporate actions are not those of the documentation")
    else:
        return actions, _token(document)
    raise problem


def _split(event: Mapping[str, Any]) -> CorporateAction:
    return CorporateAction(
        CorporateActionKind.SPLIT,
        date.fromisoformat(event["ex_date"]),
        split_ratio=float(event["new_rate"]) / float(event["old_rate"]),
        source="Alpaca, corporate actions",
    )


def _dividend(event: Mapping[str, Any]) -> CorporateAction:
    special = ", special" if event.get("special") else ""
    return CorporateAction(
        CorporateActionKind.CASH_DIVIDEND,
        date.fromisoformat(event["ex_date"]),
        cash_amount=float(event["rate"]),
        source=f"Alpaca, corporate actions{special}",
    )


_MAKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], CorporateAction]]] = {
    "forward_splits": _split,
    "reverse_splits": _split,
    "cash_dividends": _dividend,
}


def _document(answer: HttpAnswer, symbol: str) -> Mapping[str, Any]:
    if answer.status in _REFUSALS:
        document = answer.json()
        words = str(document.get("message", "")) if isinstance(document, Mapping) else ""
        if "symbol" in words.lower():
            raise ProviderSymbolError(
                f"Alpaca refuses the symbol {symbol}: {words[:_QUOTED_LENGTH]}; check its spelling"
            )
        raise ProviderAnswerError(
            f"Alpaca refuses the call (HTTP {answer.status}): {words[:_QUOTED_LENGTH]}"
        )
    document = expect_ok(answer).json()
    if not isinstance(document, Mapping):
        raise ProviderAnswerError("the answer is not an object")
    return document


def _token(document: Mapping[str, Any]) -> str | None:
    token = document.get("next_page_token")
    if token is not None and not isinstance(token, str):
        raise ProviderAnswerError("the token of the next page is no text")
    return token or None
