"""Tiingo's answers turned into columns: pure.

https://www.tiingo.com/documentation/iex describes them.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy.typing as npt

from marketdata.domain.bars import BarColumn
from marketdata.domain.timeframe import MICROSECONDS_PER_SECOND
from marketdata.errors import (
    ProviderAnswerError,
    ProviderError,
    ProviderKeyError,
    ProviderLimitError,
    ProviderSymbolError,
)
from marketdata.providers.http.answer import HttpAnswer
from marketdata.providers.http.caller import expect_ok
from marketdata.providers.iex.rows import to_columns

FIELDS: Final[Mapping[BarColumn, str]] = {
    BarColumn.OPEN: "open",
    BarColumn.HIGH: "high",
    BarColumn.LOW: "low",
    BarColumn.CLOSE: "close",
    BarColumn.VOLUME: "volume",
}
#: Tiingo was documented to answer its newest 2,000 points at the most, and does not say when it left
#: some out: an answer of so many is not known to be whole.
MOST_ROWS: Final = 2_000

_NOT_FOUND: Final = 404
_USED_UP: Final = ("run over", "allocation", "exceeded")
_HOUR_SECONDS: Final = 3_600
_QUOTED_LENGTH: Final = 160


def parse_bars(answer: HttpAnswer, symbol: str) -> dict[BarColumn, npt.NDArray[Any]]:
    """Turn an answer into columns: opens in UTC, prices, and the volume of IEX alone.

    Raises
    ------
    ProviderSymbolError, ProviderLimitError, ProviderKeyError
        It says so.
    ProviderAnswerError
        It is not what the documentation says, or may have been cut off.
    """
    if answer.status == _NOT_FOUND:
        raise ProviderSymbolError(f"Tiingo does not know {symbol}; check its spelling there")
    text = expect_ok(answer).text().strip()
    if not text.startswith(("[", "{")):
        # Limits are told in plain words as well, with status 200.
        raise _meaning(text, answer.asked_us)
    rows = answer.json()
    if isinstance(rows, Mapping):
        raise _meaning(str(rows.get("detail", "")), answer.asked_us)
    if len(rows) >= MOST_ROWS:
        raise ProviderAnswerError(f"the answer has {len(rows)} rows: Tiingo may have cut it off")
    return to_columns(rows, "date", FIELDS)


def _meaning(text: str, asked_us: int) -> ProviderError:
    words, quoted = text.lower(), f"Tiingo says: {text[:_QUOTED_LENGTH]}"
    if any(part in words for part in _USED_UP):
        passed_seconds = asked_us / MICROSECONDS_PER_SECOND % _HOUR_SECONDS
        return ProviderLimitError(quoted, retry_after_seconds=_HOUR_SECONDS - passed_seconds)
    if "token" in words:
        return ProviderKeyError(f"{quoted}; check MARKETDATA_TIINGO_TOKEN")
    return ProviderAnswerError(quoted if text else "the answer is empty")
