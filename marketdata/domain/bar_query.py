"""What a caller asks of the stored bars."""

from dataclasses import dataclass

from marketdata.domain.adjustment import Adjustment
from marketdata.domain.as_of import AsOf, KnownWrites
from marketdata.domain.bars import ALL_COLUMNS, BarColumn
from marketdata.domain.calendar import SessionHours
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class BarPosition:
    """A place in an answer: the bar of `symbol` at `time_us` (Unix microseconds)."""

    symbol: str
    time_us: int


@dataclass(frozen=True, slots=True)
class BarQuery:
    """A read of bars.

    Attributes
    ----------
    symbols : tuple of str
        Well-formed, without repeats; answers come in this order.
    timeframe : Timeframe
        What each bar covers.
    range : TimeRange
        Both bounds within the sane limits of `timeframe`.
    limit : int or None
        Only the last so many bars of the range of each symbol.
    descending : bool
        Newest first.
    columns : frozenset of BarColumn
        What to answer; the time always is.
    by_time : bool
        Times first, symbols within a time; else symbol by symbol.
    session : SessionHours
        Which part of the trading day.
    adjustment : Adjustment
        What to take out of the prices.
    resume_after : BarPosition or None
        Only what stands behind this bar in the answer.
    now_us : int
        When it was asked, Unix microseconds: what has not ended by then is not final, and corporate
        actions of later sessions do not count. The default is past every bar.
    stored_only : bool
        Whether to answer what is stored, and derive nothing from minutes.
    rolled_up : bool
        Whether to answer the bars that minutes were rolled up into, of `HOUR_1` or `DAY_1`, instead of
        those that providers delivered.
    as_of : AsOf or None
        When what is answered was known; None for now.
    known : KnownWrites or None
        The writes that were known then, once storage has found out; None where `as_of` is.
    """

    symbols: tuple[str, ...]
    timeframe: Timeframe
    range: TimeRange
    limit: int | None = None
    descending: bool = False
    columns: frozenset[BarColumn] = ALL_COLUMNS
    by_time: bool = False
    session: SessionHours = SessionHours.REGULAR
    adjustment: Adjustment = Adjustment.RAW
    resume_after: BarPosition | None = None
    now_us: int = Timeframe.DAY_1.latest_us
    stored_only: bool = False
    rolled_up: bool = False
    as_of: AsOf | None = None
    known: KnownWrites | None = None
