"""What calls answer, without anything of protobuf."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bar_order import BarOrder
from marketdata.domain.calendar import SessionHours
from marketdata.domain.coverage import SessionCounts
from marketdata.domain.gaps import GapReason
from marketdata.domain.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class UnadjustedAction:
    """A corporate action that the prices of an answer are not adjusted for.

    Attributes
    ----------
    symbol : str
        As asked for.
    ex_date : date
        The first session that trades without it.
    reason : str
        Why, for people.
    """

    symbol: str
    ex_date: date
    reason: str


@dataclass(frozen=True, slots=True)
class AppliedRead:
    """What the service applied to a read of bars, defaults included.

    Attributes
    ----------
    timeframe, source_timeframe : Timeframe
        Of the bars, and of the stored bars that they are made from.
    adjustment : Adjustment
        What was taken out of the prices.
    session : SessionHours
        The part of the trading day.
    order : BarOrder
        Of the bars.
    start, end : datetime
        The range, UTC, start inclusive, end exclusive.
    unresolved_symbols : tuple of str
        Symbols that name nothing known; the rest is in the answer.
    unadjusted_actions : tuple of UnadjustedAction
        Actions that could not be applied.
    read_time : datetime
        When the first snapshot was taken, UTC.
    snapshot_seq : int
        Position in the change log of the first snapshot: every change up to it is in the answer. Of a
        point in time that was asked about, what that stands for.
    snapshots : int
        From how many snapshots the answer was read: 1, and one more for every interruption behind
        which the log had moved on. Bars of later ones can hold changes after `snapshot_seq`.
    resume_token : str
        `subscribe` to the same symbols and this timeframe goes on behind `snapshot_seq` with it,
        without a seam; empty where bars of the timeframe are derived.
    """

    timeframe: Timeframe
    source_timeframe: Timeframe
    adjustment: Adjustment
    session: SessionHours
    order: BarOrder
    start: datetime
    end: datetime
    unresolved_symbols: tuple[str, ...]
    unadjusted_actions: tuple[UnadjustedAction, ...]
    read_time: datetime
    snapshot_seq: int
    snapshots: int = 1
    resume_token: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar as a row: for people and small reads.

    Attributes
    ----------
    symbol : str
        As asked for.
    timeframe : Timeframe
        How much time it covers.
    time : datetime
        Its open, UTC. Daily: the session date at 00:00:00 UTC, a label and not an instant.
    session_date : date or None
        The trading date; only of daily bars.
    open, high, low, close : float
        In `currency` a share.
    volume : float
        Shares; NaN where it is not known, 0 where nothing traded.
    vwap, trade_count : float or None, int or None
        None where they are not known.
    currency : str
        ISO 4217 code of the prices.
    feed : str
        Where it came from, ``provider/feed``.
    is_final : bool
        False while it can still grow.
    revision : int
        0 as first stored, one more for every change since.
    is_derived : bool
        Whether it was computed from finer bars.
    """

    symbol: str
    timeframe: Timeframe
    time: datetime
    session_date: date | None
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float | None
    trade_count: int | None
    currency: str
    feed: str
    is_final: bool
    revision: int
    is_derived: bool


@dataclass(frozen=True, slots=True)
class BarPage:
    """A page of bars as rows.

    Attributes
    ----------
    bars : tuple of Bar
        In the order asked for.
    next_page_token : str
        For the next page; empty on the last one.
    adjustment, session, source_timeframe
        What was applied.
    unadjusted_actions : tuple of UnadjustedAction
        Actions that could not be applied.
    read_time : datetime
        When it was read, UTC.
    as_of_seq : int
        Position in the change log: every change up to it is in the answer, and none after.
    """

    bars: tuple[Bar, ...]
    next_page_token: str
    adjustment: Adjustment
    session: SessionHours
    source_timeframe: Timeframe
    unadjusted_actions: tuple[UnadjustedAction, ...]
    read_time: datetime
    as_of_seq: int


@dataclass(frozen=True, slots=True)
class BarVersion:
    """What a bar said, and from when until when.

    Attributes
    ----------
    bar : Bar
        The bar, raw.
    seq : int
        Of the write that stored it; 0 where that is not kept any more.
    known_time : datetime or None
        When that was committed, UTC.
    superseded_seq : int
        Of the write that replaced or deleted it; 0 where it stands.
    superseded_time : datetime or None
        When that was committed, UTC.
    is_deleted : bool
        Whether that write deleted it.
    """

    bar: Bar
    seq: int
    known_time: datetime | None
    superseded_seq: int
    superseded_time: datetime | None
    is_deleted: bool


@dataclass(frozen=True, slots=True)
class LatestBar:
    """The newest bar of one symbol of many, or why there is none.

    Attributes
    ----------
    symbol : str
        As asked for.
    bar : Bar or None
        The newest final bar, raw.
    reason : str
        Why there is none: MALFORMED_SYMBOL, SYMBOL_NOT_FOUND, BAR_NOT_FOUND; else empty.
    """

    symbol: str
    bar: Bar | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BarsCreated:
    """What became of the bars of `create_bars`; every one is counted once.

    Attributes
    ----------
    accepted, unchanged, revised, outranked, rejected : int
        Stored for the first time; stored already as they are; replaced; left out because of a
        higher-ranked feed's bar; left out because of their symbol.
    rejected_symbols : mapping of str to (str, int)
        Per symbol the reason and how many bars.
    seq : int
        Position in the change log; 0 where nothing changed.
    """

    accepted: int
    unchanged: int
    revised: int
    outranked: int
    rejected: int
    rejected_symbols: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    seq: int = 0


@dataclass(frozen=True, slots=True)
class BarsDeleted:
    """How many bars were deleted, and the change log's position; 0 where nothing was."""

    deleted: int
    seq: int


@dataclass(frozen=True, slots=True)
class CoverageGap:
    """A range in which bars are missing.

    Attributes
    ----------
    start, end : datetime
        First missing time, and the end of the last missing bar, UTC.
    missing_count : int
        How many bars the calendar lets expect there.
    reason : GapReason
        Why they are missing, as of now.
    provider : str
        Whose answer, or failure, it is; empty where it is nobody's.
    retry : datetime or None
        When a provider that failed is worth asking again, UTC; None where nobody knows.
    message : str
        The reason for people, and what to do where there is something to do.
    """

    start: datetime
    end: datetime
    missing_count: int
    reason: GapReason
    provider: str = ""
    retry: datetime | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which bars of a symbol are there, and which are missing by its calendar.

    Attributes
    ----------
    first, last : datetime or None
        Times of the first and last bar in the range, UTC; None where there is none.
    count, expected_count : int
        Bars that are stored, and that the calendar lets expect.
    gaps : tuple of CoverageGap
        What is missing, ascending; all of it. Where the reason changes, a gap ends and another begins.
    sessions : SessionCounts or None
        What is there session by session, as columns; None unless it was asked for.
    quarantined_count : int
        How many of the expected bars are not stored but in quarantine.
    """

    first: datetime | None
    last: datetime | None
    count: int
    expected_count: int
    gaps: tuple[CoverageGap, ...]
    sessions: SessionCounts | None = None
    quarantined_count: int = 0


@dataclass(frozen=True, slots=True)
class TimeframeStatistics:
    """What is stored of one timeframe.

    Attributes
    ----------
    timeframe : Timeframe
        Which bars.
    rows, symbols : int
        How many bars, of how many symbols.
    first, last : datetime
        Times of the first and last bar, UTC.
    size_bytes, partitions : int
        On disk with indexes; 0 where one symbol was asked for.
    rows_estimated : bool
        Whether `rows` is an estimate, because counting would take longer than a call may; never where
        one symbol was asked for.
    compressed_partitions : int
        How many of them are compressed; 0 where the database does not compress.
    bytes_before_compression, bytes_after_compression : int
        Of these right before they were compressed, and right after it, with indexes.
    """

    timeframe: Timeframe
    rows: int
    symbols: int
    first: datetime
    last: datetime
    size_bytes: int
    partitions: int
    rows_estimated: bool = False
    compressed_partitions: int = 0
    bytes_before_compression: int = 0
    bytes_after_compression: int = 0

    @property
    def compression_ratio(self) -> float | None:
        """How many times less the compressed partitions take; None where there are none."""
        if not self.bytes_after_compression:
            return None
        return self.bytes_before_compression / self.bytes_after_compression


@dataclass(frozen=True, slots=True)
class ActionsCreated:
    """What became of corporate actions.

    Attributes
    ----------
    accepted, unchanged : int
        Stored for the first time; ex-dates that have an action of that kind already.
    seq : int
        Position in the change log; 0 where nothing changed.
    """

    accepted: int
    unchanged: int
    seq: int
