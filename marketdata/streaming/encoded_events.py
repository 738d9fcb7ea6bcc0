"""Encoded events, shared by all subscribers who are told the same."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from marketdata.domain.subscription import SubscriptionEvent

# A tick of 5,000 symbols is half a megabyte; subscribers of one process read it within a moment.
_MOST_BYTES: Final = 16 * 1024 * 1024


class EncodedEvents:
    """Encodes an event once for whoever is told it, and forgets what nobody was told for longest.

    Parameters
    ----------
    most_bytes : int
        What is kept.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()
        self._size_bytes = 0

    def encoded(self, event: SubscriptionEvent, encode: Callable[[SubscriptionEvent], bytes]) -> bytes:
        """Return the event as `encode` makes it; of events with a key, perhaps as it made it before."""
        if event.key is None:
            return encode(event)
        data = self._kept.get(event.key)
        if data is not None:
            self._kept.move_to_end(event.key)
            return data
        data = self._kept[event.key] = encode(event)
        self._size_bytes += len(data)
        while self._size_bytes > self._most_bytes and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._size_bytes -= len(dropped)
        return data
