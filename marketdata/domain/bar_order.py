"""The orders that bars of an answer can have."""

from enum import Enum


class BarOrder(Enum):
    """What stands before what in an answer; the value is its label in commands and clients."""

    SYMBOL_TIME = "symbol_time"
    SYMBOL_TIME_DESCENDING = "symbol_time_descending"
    TIME_SYMBOL = "time_symbol"
    TIME_SYMBOL_DESCENDING = "time_symbol_descending"

    @property
    def is_descending(self) -> bool:
        """Whether the newest bars come first; symbols always stand as in the request."""
        return self in {BarOrder.SYMBOL_TIME_DESCENDING, BarOrder.TIME_SYMBOL_DESCENDING}

    @property
    def is_by_time(self) -> bool:
        """Whether times stand first, and symbols within a time; else symbol by symbol."""
        return self in {BarOrder.TIME_SYMBOL, BarOrder.TIME_SYMBOL_DESCENDING}
