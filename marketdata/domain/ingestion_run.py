"""Ingestion runs: what is asked of a provider, how far that is, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe


class IngestionMode(Enum):
    """What a run fetches: bars up to now or of a range, corporate actions, or facts of companies."""

    BATCH = "batch"
    BACKFILL = "backfill"
    ACTIONS = "actions"
    COMPANY = "company"

    @property
    def is_reference(self) -> bool:
        """Whether it fetches facts of symbols, and no bars: it has no timeframes."""
        return self in (IngestionMode.ACTIONS, IngestionMode.COMPANY)


class RunState(Enum):
    """Where a run is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing happens to it any more."""
        return self not in (RunState.QUEUED, RunState.RUNNING)


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What is to be fetched.

    Attributes
    ----------
    request_id : str
        By which the same request can be sent again safely.
    mode : IngestionMode
        BATCH brings up to now; BACKFILL fills a range; ACTIONS asks for corporate actions,
        COMPANY for facts of companies.
    provider : str
        Its name.
    symbols : tuple of str
        Tickers, without repeats.
    timeframes : tuple of Timeframe
        Stored ones, without repeats; none in a mode that fetches no bars.
    start_us, end_us : int or None
        The range, Unix microseconds, half-open. BACKFILL has a start; without an end it is now. In a
        BATCH the start is for symbols of which nothing was fetched yet.
    refetches : bool
        Whether what was fetched already is fetched again.
    """

    request_id: str
    mode: IngestionMode
    provider: str
    symbols: tuple[str, ...]
    timeframes: tuple[Timeframe, ...]
    start_us: int | None = None
    end_us: int | None = None
    refetches: bool = False


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A part of a run: a range of bars of one symbol.

    Attributes
    ----------
    symbol : str
        Its latest ticker.
    symbol_id : int
        Its identity.
    timeframe : Timeframe
        A stored one.
    range : TimeRange
        Not empty.
    """

    symbol: str
    symbol_id: int
    timeframe: Timeframe
    range: TimeRange


@dataclass(frozen=True, slots=True)
class OpenTask(PlannedTask):
    """A task that is not done.

    Attributes
    ----------
    task : int
        Its number within the run.
    done_until_us : int
        Everything before it is committed, Unix microseconds.
    """

    task: int
    done_until_us: int

    @property
    def left(self) -> TimeRange:
        """What is still to be fetched."""
        return TimeRange(self.done_until_us, self.range.end_us)


@dataclass(frozen=True, slots=True)
class PlannedReference:
    """A part of a run that fetches facts of one symbol, and no bars.

    Attributes
    ----------
    symbol : str
        Its latest ticker.
    symbol_id : int
        Its identity.
    range : TimeRange
        Days that are asked about, as session labels; not empty. Of corporate actions their ex-dates, of
        facts the day on which they were asked for.
    """

    symbol: str
    symbol_id: int
    range: TimeRange


@dataclass(frozen=True, slots=True)
class OpenReference(PlannedReference):
    """One that is not done; `task` is its number within the run."""

    task: int


@dataclass(frozen=True, slots=True)
class TaskTrouble:
    """A task that failed, or that a person should know something of.

    Attributes
    ----------
    symbol : str
        Whose.
    timeframe : Timeframe or None
        Of which bars; None where it fetches none.
    message : str
        What is wrong and what to do.
    is_failed : bool
        Whether the rest of its range was not fetched.
    done_until_us : int
        Everything before it is committed, Unix microseconds.
    retry_at_us : int or None
        When asking again may succeed, Unix microseconds.
    """

    symbol: str
    timeframe: Timeframe | None
    message: str
    is_failed: bool
    done_until_us: int
    retry_at_us: int | None


@dataclass(frozen=True, slots=True)
class ProviderWait:
    """Something that a provider waits for.

    Attributes
    ----------
    provider : str
        Its name.
    reason : str
        A stable word: ``rate_limit``.
    seconds_left : float
        How long it still takes.
    """

    provider: str
    reason: str
    seconds_left: float


@dataclass(frozen=True, slots=True)
class RunCounts:
    """What became of the fetched bars, or of corporate actions or facts in a run that fetches those.

    Every bar is in `fetched` and in one of the next five, unless it was left out as a repeat, as still
    forming, or as of a time at which the ticker did not name the symbol.

    Attributes
    ----------
    fetched : int
        Bars that were fetched and are accounted for.
    accepted, revised, unchanged, outranked : int
        See `CommitResult`.
    quarantined : int
        Left out and kept aside, since they break a rule.
    flagged : int
        Stored, and listed, since they look strange; among those of the other counts.
    """

    fetched: int = 0
    accepted: int = 0
    revised: int = 0
    unchanged: int = 0
    outranked: int = 0
    quarantined: int = 0
    flagged: int = 0


@dataclass(frozen=True, slots=True)
class IngestionRun:
    """A run as it is now.

    Attributes
    ----------
    run_id : int
        Its number.
    request : RunRequest
        What was asked for.
    state : RunState
        Where it is.
    created_us, started_us, finished_us, now_us : int or None
        Unix microseconds, all by the database's clock.
    is_cancelling : bool
        Whether it was asked to end.
    error : str
        Why it failed.
    counts : RunCounts
        What became of the bars.
    tasks, tasks_done, tasks_failed : int
        Its parts.
    symbols, symbols_done : int
        Symbols that it fetches something of, and those of them that are done.
    share_done : float
        How much of the asked time is fetched, 0 to 1.
    owner : str
        The process that executes it, for people.
    waits : tuple of ProviderWait
        What its provider waits for.
    troubles : tuple of TaskTrouble
        The first tasks that failed or have something to say; `tasks_failed` counts all that failed.
    """

    run_id: int
    request: RunRequest
    state: RunState
    created_us: int
    started_us: int | None
    finished_us: int | None
    now_us: int
    is_cancelling: bool = False
    error: str = ""
    counts: RunCounts = field(default_factory=RunCounts)
    tasks: int = 0
    tasks_done: int = 0
    tasks_failed: int = 0
    symbols: int = 0
    symbols_done: int = 0
    share_done: float = 0.0
    owner: str = ""
    waits: tuple[ProviderWait, ...] = ()
    troubles: tuple[TaskTrouble, ...] = ()

    @property
    def seconds_running(self) -> float:
        """How long it has been under way, or took."""
        if self.started_us is None:
            return 0.0
        end_us = self.now_us if self.finished_us is None else self.finished_us
        return max(0, end_us - self.started_us) / 1e6

    @property
    def bars_a_second(self) -> float:
        """Fetched bars a second since it started; 0 where none were."""
        seconds = self.seconds_running
        return self.counts.fetched / seconds if seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long it still takes if it goes on like this; None where nobody can tell."""
        if self.state is not RunState.RUNNING or self.share_done <= 0:
            return None
        return self.seconds_running * (1 - self.share_done) / self.share_done


FetchedRanges = Mapping[tuple[int, Timeframe], tuple[TimeRange, ...]]
