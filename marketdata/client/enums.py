"""Enums of answers: values of later releases are refused by name instead of guessed at."""

from collections.abc import Mapping
from typing import Final, TypeVar

from marketdata.domain.bar_order import BarOrder
from marketdata.errors import NotSupportedError
from marketdata.wire.enums import (
    GAP_REASON_TO_PROTO,
    MATCH_KIND_TO_PROTO,
    ORDER_TO_PROTO,
    SYMBOL_VALIDITY_TO_PROTO,
)

K = TypeVar("K", bound=int)
T = TypeVar("T")

MATCH_KIND_FROM_PROTO: Final = {proto: domain for domain, proto in MATCH_KIND_TO_PROTO.items()}
SYMBOL_VALIDITY_FROM_PROTO: Final = {
    proto: domain for domain, proto in SYMBOL_VALIDITY_TO_PROTO.items()
}
GAP_REASON_FROM_PROTO: Final = {proto: domain for domain, proto in GAP_REASON_TO_PROTO.items()}
BAR_ORDER_TO_PROTO: Final = {
    order: ORDER_TO_PROTO[order.is_descending, order.is_by_time] for order in BarOrder
}
BAR_ORDER_FROM_PROTO: Final = {proto: domain for domain, proto in BAR_ORDER_TO_PROTO.items()}


def known(table: Mapping[K, T], value: K, what: str) -> T:
    """Look up an enum's value of an answer.

    Raises
    ------
    NotSupportedError
        A later release of the service sent a value that this one does not know.
    """
    if value not in table:
        raise NotSupportedError(f"the service sent {what} {value}; a later client knows it")
    return table[value]
