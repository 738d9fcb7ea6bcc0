"""Bars in the quarantine: what was found, and what a person decided."""

from dataclasses import dataclass
from enum import Enum

from marketdata.domain.quality.rules import QualityRule, Severity
from marketdata.domain.timeframe import Timeframe


class QuarantineState(Enum):
    """What was decided of a quarantined bar; the value is its label in SQL, commands and docs."""

    OPEN = "open"
    """Nothing yet."""
    RELEASED = "released"
    """It is stored; a flagged one was looked at."""
    DROPPED = "dropped"
    """It stays out, however often it comes with these values and breaks a rule."""


@dataclass(frozen=True, slots=True)
class QuarantinedBar:
    """A row as a provider gave it, with the rules that it breaks.

    Attributes
    ----------
    quarantine_id : int
        Its number.
    run_id : int or None
        The ingestion run that found it first; None where none did.
    provider, feed : str
        Where it came from: the provider's name, and ``provider/feed``.
    symbol, timeframe, time_us : str, Timeframe, int
        Whose bar it is; Unix microseconds, brought within 1900 to 2100.
    open, high, low, close, volume, vwap : float
        As given; may be NaN or infinite.
    trade_count : int
        As given; -1 where missing.
    flags : int
        Bits of `BarFlag`.
    rules : tuple of QualityRule
        What it breaks, in the enum's order; not empty.
    severity : Severity
        The gravest of theirs.
    detail : str
        The values that show it, for people; may be empty.
    state : QuarantineState
        What was decided.
    reason : str
        Why, as the person said.
    quarantined_us : int
        When, by the database's clock, Unix microseconds.
    decided_us : int or None
        When it was released or dropped, likewise.
    """

    quarantine_id: int
    run_id: int | None
    provider: str
    feed: str
    symbol: str
    timeframe: Timeframe
    time_us: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float
    trade_count: int
    flags: int
    rules: tuple[QualityRule, ...]
    severity: Severity
    detail: str
    state: QuarantineState
    reason: str
    quarantined_us: int
    decided_us: int | None


@dataclass(frozen=True, slots=True)
class QuarantineFilter:
    """Which quarantined bars; None: whatever it is.

    Attributes
    ----------
    symbol : str or None
        The ticker under which they were fetched.
    timeframe : Timeframe or None
        Their timeframe.
    rule : QualityRule or None
        A rule that they break, maybe among others.
    run_id : int or None
        The run that found them first.
    state : QuarantineState or None
        What was decided.
    severity : Severity or None
        Of the gravest of their rules.
    """

    symbol: str | None = None
    timeframe: Timeframe | None = None
    rule: QualityRule | None = None
    run_id: int | None = None
    state: QuarantineState | None = None
    severity: Severity | None = None


class Refusal(Enum):
    """Why a bar cannot be released or dropped; the description says what to do."""

    NOT_FOUND = "there is no such bar in the quarantine; ListQuarantinedBars lists them"
    INVALID = "it can never be stored; drop it, and fetch its range again"
    FORMING = "it has not ended yet; release it once it has"
    UNKNOWN_SYMBOL = "its symbol names nothing at its time; CreateSymbol adds one"
    SAME_BAR = "another bar of the same symbol and time is released with it; choose one of them"
    STORED = "it is stored; DeleteBars deletes it, and to release it says that it was looked at"
    ALREADY_RELEASED = "it was released and is stored; DeleteBars deletes it"


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of bars that were to be released or dropped.

    Attributes
    ----------
    decided : int
        Bars whose state changed.
    unchanged : int
        Bars that were in that state before.
    refused : dict of int to Refusal
        Bars that stay as they are, by quarantine_id, and why.
    has_more : bool
        Whether bars that the filter matches are left.
    """

    decided: int
    unchanged: int
    refused: dict[int, Refusal]
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class Release(Decision):
    """What became of bars that were to be released.

    Attributes
    ----------
    accepted, revised, same, outranked : int
        Of the released ones that had not been stored: as `CommitResult` counts them.
    """

    accepted: int = 0
    revised: int = 0
    same: int = 0
    outranked: int = 0
