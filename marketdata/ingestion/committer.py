"""The last step of a pipeline: commits checked pages, those that wait together in one transaction."""

import asyncio
import logging
from collections.abc import Sequence

from marketdata.domain.bar_merge import merge_frames
from marketdata.domain.bars import BarFrame
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.ingestion.checked_page import CheckedPage
from marketdata.ingestion.row_budget import RowBudget
from marketdata.storage.commit import CommitResult
from marketdata.storage.ingestion.checkpoints import Checkpoint, SideCounts, note_checkpoints
from marketdata.storage.ingestion.claims import Claim, RunClaims
from marketdata.storage.intake import BarIntake
from marketdata.storage.pools import Connection

log = logging.getLogger(__name__)

Waiting = tuple[Timeframe, CheckedPage]


class PageCommitter:
    """Commits the pages of a run: bars, checkpoints and what is kept aside together.

    Parameters
    ----------
    intake : BarIntake
        Commits bars.
    claims : RunClaims
        Where it is remarked that bars were left out.
    claim : Claim
        The run.
    budget : RowBudget
        Gets back the room of committed bars.
    most_bars : int
        Most bars a transaction, unless one page has more.
    """

    def __init__(
        self,
        intake: BarIntake,
        claims: RunClaims,
        claim: Claim,
        budget: RowBudget,
        most_bars: int,
    ) -> None:
        self._intake = intake
        self._claims = claims
        self._claim = claim
        self._budget = budget
        self._most_bars = most_bars
        self._waiting: list[Waiting] = []
        self._changed = asyncio.Event()
        self._is_complete = False
        self._remarked: set[int] = set()

    def put(self, timeframe: Timeframe, page: CheckedPage) -> None:
        """Hand over a page whose room is taken; the pages of a task come in their order."""
        self._waiting.append((timeframe, page))
        self._changed.set()

    def complete(self) -> None:
        """Tell that no page comes any more."""
        self._is_complete = True
        self._changed.set()

    async def run(self) -> None:
        """Commit until the last page is.

        Raises
        ------
        LeaseLostError
            Another process has the run.
        DatabaseUnavailableError, QueryTimeoutError, StorageFullError, WriteConflictError
            See `BarWriter.commit_bars`. What was committed before stays, and the checkpoints say so.
        """
        while self._waiting or not self._is_complete:
            if not self._waiting:
                self._changed.clear()
                await self._changed.wait()
                continue
            timeframe, pages = self._next_batch()
            await self._commit(timeframe, pages)
            for page in pages:
                await self._budget.give_back(page.fetched)

    def _next_batch(self) -> tuple[Timeframe, list[CheckedPage]]:
        """Take what waits of the first page's timeframe, up to the bound; the rest keeps its order."""
        timeframe = self._waiting[0][0]
        batch: list[CheckedPage] = []
        rest: list[Waiting] = []
        bars = 0
        for position, (other, page) in enumerate(self._waiting):
            if other is not timeframe:
                rest.append((other, page))
                continue
            is_full = bars + len(page.accepted) > self._most_bars
            if batch and (is_full or _contradicts(batch, page)):
                rest += self._waiting[position:]
                break
            batch.append(page)
            bars += len(page.accepted)
        self._waiting = rest
        return timeframe, batch

    async def _commit(self, timeframe: Timeframe, pages: Sequence[CheckedPage]) -> None:
        checkpoints = _checkpoints(pages)
        aside = SideCounts(sum(page.quarantined for page in pages), sum(page.flagged for page in pages))

        async def alongside(connection: Connection, result: CommitResult) -> None:
            await note_checkpoints(connection, self._claim, checkpoints, result, aside)
            for page in pages:
                if page.quarantined or page.flagged:
                    await page.keep_aside(connection)

        meant = {page.accepted.symbols[0]: page.symbol_id for page in pages if len(page.accepted)}
        result = await self._intake.store(_merged(pages), timeframe, alongside, meant)
        for page in pages:
            if len(page.accepted) and page.accepted.symbols[0] in result.rejected:
                await self._remark_nameless(page)

    async def _remark_nameless(self, page: CheckedPage) -> None:
        """Say that bars were left out: most likely those of the company that had the ticker before."""
        if page.task in self._remarked:
            return
        self._remarked.add(page.task)
        ticker = page.accepted.symbols[0]
        text = f"bars of a time at which {ticker} did not name this symbol were left out"
        log.warning("ingestion_remark", extra={"symbol": ticker, "remark": text})
        await self._claims.remark(self._claim, page.task, text)


def _contradicts(batch: Sequence[CheckedPage], page: CheckedPage) -> bool:
    """Tell whether a page and the batch disagree about a ticker: its symbol was renamed meanwhile."""
    return any(
        (other.symbol_id == page.symbol_id) != (other.accepted.symbols == page.accepted.symbols)
        for other in batch
        if len(other.accepted) and len(page.accepted)
    )


def _checkpoints(pages: Sequence[CheckedPage]) -> list[Checkpoint]:
    of_task: dict[int, Checkpoint] = {}
    for page in pages:
        own = Checkpoint(page.task, page.range, page.settled_us, page.fetched, _extent(page.accepted))
        before = of_task.get(page.task)
        of_task[page.task] = before.joined(own) if before else own
    return list(of_task.values())


def _extent(frame: BarFrame) -> TimeRange | None:
    """Tell from which to which time a frame has bars; it is sorted by time."""
    return TimeRange(int(frame.time_us[0]), int(frame.time_us[-1]) + 1) if len(frame) else None


def _merged(pages: Sequence[CheckedPage]) -> BarFrame:
    frames = [page.accepted for page in pages if len(page.accepted)]
    if not frames:
        return BarFrame.empty(())
    return frames[0] if len(frames) == 1 else merge_frames(frames)
