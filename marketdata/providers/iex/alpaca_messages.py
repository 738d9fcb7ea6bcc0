"""Messages of Alpaca's stream turned into bars and news of the connection, and back: pure.

https://docs.alpaca.markets/docs/real-time-stock-pricing-data and
https://docs.alpaca.markets/docs/streaming-market-data describe them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import numpy as np

from marketdata.domain.bars import BarColumn, BarFlag, BarFrame, full_columns
from marketdata.errors import (
    ProviderAnswerError,
    ProviderError,
    ProviderKeyError,
    ProviderUnavailableError,
)
from marketdata.providers.iex.alpaca_parse import BAR_FIELDS
from marketdata.providers.iex.rows import to_columns

# `u` is a bar anew, after trades that came late. `d`, the running day, is no bar that has ended.
_BARS: Final = frozenset({"b", "u"})
_LATE_BARS: Final = "updatedBars"
_NEW_BARS: Final = "bars"
# Codes that only an operator can mend: the key, what its plan has, how many symbols it may follow.
_REFUSED_CODES: Final = frozenset({401, 402, 405, 409, 410})
_CONNECTION_LIMIT: Final = 406
_QUOTED_LENGTH: Final = 160


class StreamState(Enum):
    """What the stream says of the connection."""

    CONNECTED = "connected"
    AUTHENTICATED = "authenticated"


@dataclass(frozen=True, slots=True)
class Subscribed:
    """What the stream will tell of.

    Attributes
    ----------
    bars : frozenset of str
        Symbols in Alpaca's spelling whose bars, and late ones, will come.
    """

    bars: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class StreamMessage:
    """A message, which can be of several kinds at once.

    Attributes
    ----------
    news : tuple of StreamState or Subscribed
        Of the connection, in their order.
    bars : BarFrame or None
        In Alpaca's spelling; None where it has none.
    """

    news: tuple[StreamState | Subscribed, ...]
    bars: BarFrame | None


def authentication(key_id: str, secret: str) -> str:
    """Write the message that says who asks; it holds the key."""
    return json.dumps({"action": "auth", "key": key_id, "secret": secret})


def subscription(symbols: Sequence[str]) -> str:
    """Write the message that asks for minutes, and for those that late trades revise."""
    return json.dumps({"action": "subscribe", _NEW_BARS: list(symbols), _LATE_BARS: list(symbols)})


def parse_message(text: str, feed: str) -> StreamMessage:
    """Turn a message into what it says.

    Parameters
    ----------
    text : str
        An array of objects, in JSON.
    feed : str
        ``provider/feed`` of its bars.

    Raises
    ------
    ProviderKeyError
        The key is refused, or its plan does not have what was asked for.
    ProviderUnavailableError
        Another connection has the account's place, or the stream has a fault.
    ProviderAnswerError
        It is not what the documentation says.
    """
    rows: list[Mapping[str, Any]] = []
    news: list[StreamState | Subscribed] = []
    for item in _items(text):
        kind = item.get("T")
        if kind in _BARS:
            rows.append(item)
        elif kind == "success":
            news += [state for state in StreamState if state.value == item.get("msg")]
        elif kind == "subscription":
            news.append(_subscribed(item))
        elif kind == "error":
            raise _error(item)
    return StreamMessage(tuple(news), _frame(rows, feed) if rows else None)


def _items(text: str) -> list[Mapping[str, Any]]:
    try:
        items = json.loads(text)
    except ValueError:
        items = None
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise ProviderAnswerError("a message of the stream is no array of objects")
    return items


def _subscribed(item: Mapping[str, Any]) -> Subscribed:
    lists = [item.get(name) or [] for name in (_NEW_BARS, _LATE_BARS)]
    if not all(isinstance(symbols, list) for symbols in lists):
        raise ProviderAnswerError("the stream's list of subscriptions is none")
    return Subscribed(frozenset(map(str, lists[0])) & frozenset(map(str, lists[1])))


def _error(item: Mapping[str, Any]) -> ProviderError:
    code, words = item.get("code"), str(item.get("msg", ""))[:_QUOTED_LENGTH]
    if code in _REFUSED_CODES:
        return ProviderKeyError(f"Alpaca's stream refuses what was asked ({code}: {words})")
    if code == _CONNECTION_LIMIT:
        return ProviderUnavailableError(
            f"another connection of the account has Alpaca's stream ({code}: {words}); end that one"
        )
    return ProviderUnavailableError(f"Alpaca's stream has a fault ({code}: {words})")


def _frame(rows: Sequence[Mapping[str, Any]], feed: str) -> BarFrame:
    columns = to_columns(rows, "t", BAR_FIELDS)
    columns[BarColumn.FLAGS] = np.full(len(rows), BarFlag.FINAL, np.int16)
    names = [str(row.get("S", "")) for row in rows]
    if not all(names):
        raise ProviderAnswerError("a bar of the stream has no symbol")
    symbols = tuple(dict.fromkeys(names))
    number = {symbol: at for at, symbol in enumerate(symbols)}
    index = np.array([number[name] for name in names], np.int32)
    return BarFrame(symbols, **full_columns(len(rows), columns), symbol_index=index, feeds={0: feed})
