"""What the service says of quarantined bars."""

from dataclasses import dataclass
from datetime import datetime

from marketdata.domain.quality.rules import Severity
from marketdata.domain.quarantine import QuarantineState
from marketdata.domain.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class QuarantinedBar:
    """A row as a provider gave it, with the rules of quality that it breaks.

    Attributes
    ----------
    quarantine_id : int
        Its number.
    run_id : int or None
        The ingestion run that found it first; None where none did.
    provider, feed : str
        Where it came from: the provider's name, and ``provider/feed``.
    symbol, timeframe, time : str, Timeframe, datetime
        Whose bar it is; UTC, of a daily bar the session date at midnight.
    open, high, low, close : float
        Quote currency a share, as given: may be NaN, infinite, zero or negative.
    volume, vwap : float
        NaN where missing.
    trade_count : int
        -1 where missing.
    rules : tuple of str
        Names of the rules that it breaks.
    remedies : tuple of str
        What each of them says, and what to do.
    severity : Severity
        The gravest of theirs: INVALID and REJECT are not stored, FLAG is.
    detail : str
        The values that show it; may be empty.
    state : QuarantineState
        What was decided.
    reason : str
        Why, as the person said.
    found : datetime
        When, UTC.
    decided : datetime or None
        When it was released or dropped, UTC.
    """

    quarantine_id: int
    run_id: int | None
    provider: str
    feed: str
    symbol: str
    timeframe: Timeframe
    time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float
    trade_count: int
    rules: tuple[str, ...]
    remedies: tuple[str, ...]
    severity: Severity
    detail: str
    state: QuarantineState
    reason: str
    found: datetime
    decided: datetime | None


@dataclass(frozen=True, slots=True)
class RefusedDecision:
    """A quarantined bar that stays as it is, and why.

    Attributes
    ----------
    quarantine_id : int
        Its number.
    reason : str
        UPPER_SNAKE, stable: ``INVALID``.
    description : str
        What is wrong and what to do, for people.
    """

    quarantine_id: int
    reason: str
    description: str


@dataclass(frozen=True, slots=True)
class BarsReleased:
    """What became of bars that were to be released.

    Attributes
    ----------
    released : int
        Bars that are released now; those of them that were not stored before are in one of
        accepted, revised, same and outranked, as `BarsCreated` has them.
    unchanged : int
        Bars that had been released before.
    accepted, revised, same, outranked : int
        Stored for the first time; replaced others; stored already as they are; left out because a
        higher-ranked feed's bar stands in their place.
    refused : int
        Bars that stay as they are.
    refusals : tuple of RefusedDecision
        Why, of the first 100 of them.
    has_more : bool
        Whether the filter matches more.
    """

    released: int
    unchanged: int
    accepted: int
    revised: int
    same: int
    outranked: int
    refused: int
    refusals: tuple[RefusedDecision, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class BarsDropped:
    """What became of bars that were to be dropped.

    Attributes
    ----------
    dropped, unchanged, refused : int
        Bars that are dropped now; had been before; stay as they are.
    refusals : tuple of RefusedDecision
        Why, of the first 100 of them.
    has_more : bool
        Whether the filter matches more.
    """

    dropped: int
    unchanged: int
    refused: int
    refusals: tuple[RefusedDecision, ...]
    has_more: bool
