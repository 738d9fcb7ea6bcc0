"""What a caller asks of the stored bars."""

from dataclasses import dataclass

from marketdata.domain.bars import ALL_COLUMNS, BarColumn
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class BarQuery:
    """A read of raw bars, symbol by symbol.

    Attributes
    ----------
    symbols : tuple of str
        Well-formed, without repeats; answers come in this order.
    timeframe : Timeframe
        One that is stored.
    range : TimeRange
        Both bounds within the sane limits of `timeframe`.
    limit : int or None
        Only the last so many bars of the range of each symbol.
    descending : bool
        Newest first within a symbol.
    columns : frozenset of BarColumn
        What to read; the time is always read.
    """

    symbols: tuple[str, ...]
    timeframe: Timeframe
    range: TimeRange
    limit: int | None = None
    descending: bool = False
    columns: frozenset[BarColumn] = ALL_COLUMNS
