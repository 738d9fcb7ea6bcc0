"""What GetBarCoverage answers, without anything of protobuf."""

from dataclasses import dataclass
from datetime import datetime

from marketdata.domain.coverage import SessionCounts
from marketdata.domain.gaps import GapReason


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
