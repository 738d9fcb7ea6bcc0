"""What the service says of providers and ingestion runs."""

from dataclasses import dataclass
from datetime import datetime

from marketdata.domain.ingestion_run import IngestionMode, ProviderWait, RunCounts, RunState
from marketdata.domain.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class RunTrouble:
    """A task of a run that failed, or that a person should know something of.

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
    done_until : datetime
        Everything before it is stored; UTC.
    retry_time : datetime or None
        When asking again may succeed; UTC.
    """

    symbol: str
    timeframe: Timeframe | None
    message: str
    is_failed: bool
    done_until: datetime
    retry_time: datetime | None


@dataclass(frozen=True, slots=True)
class RunStatus:
    """An ingestion run as it is.

    Attributes
    ----------
    run_id : int
        Its number.
    request_id : str
        By which the same request can be sent again.
    mode : IngestionMode
        Which bars it fetches.
    provider : str
        Where from.
    symbol_count : int
        How many symbols were asked for.
    timeframes : tuple of Timeframe
        Of which timeframes.
    start, end : datetime or None
        The range that was asked for, half-open, UTC; None where none was.
    state : RunState
        Where it is.
    created, begun, finished : datetime or None
        When, UTC; None where it has not happened.
    is_cancelling : bool
        Whether somebody asked it to end.
    error : str
        Why it failed, and what to do.
    symbols, symbols_done, tasks, tasks_done, tasks_failed : int
        Symbols of which there is something to fetch, and its parts.
    share_done : float
        How much of the time that there is to fetch is done, 0 to 1.
    counts : RunCounts
        What became of the bars, or of the corporate actions.
    bars_per_second : float
        Fetched bars a second.
    seconds_left : float or None
        How long it still takes if it goes on like this; None where nobody can tell.
    waits : tuple of ProviderWait
        What its provider waits for at present.
    troubles : tuple of RunTrouble
        The first tasks that failed or have something to say; only where one run was asked for.
    """

    run_id: int
    request_id: str
    mode: IngestionMode
    provider: str
    symbol_count: int
    timeframes: tuple[Timeframe, ...]
    start: datetime | None
    end: datetime | None
    state: RunState
    created: datetime
    begun: datetime | None
    finished: datetime | None
    is_cancelling: bool
    error: str
    symbols: int
    symbols_done: int
    tasks: int
    tasks_done: int
    tasks_failed: int
    share_done: float
    counts: RunCounts
    bars_per_second: float
    seconds_left: float | None
    waits: tuple[ProviderWait, ...]
    troubles: tuple[RunTrouble, ...]
