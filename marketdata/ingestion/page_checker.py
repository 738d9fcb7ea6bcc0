"""Pages held to the rules of quality, beside the bars and corporate actions that are stored."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final

from marketdata.clock import Clock
from marketdata.domain.action_rules import sift_actions
from marketdata.domain.bars import BarFrame
from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.ingestion_run import OpenTask
from marketdata.domain.quality import QualityContext, QualityReport, check_quality
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import session_date
from marketdata.errors import InvalidRequestError, ProviderError
from marketdata.ingestion.checked_page import CheckedPage
from marketdata.providers.protocol import BarsPage, Provider
from marketdata.storage.actions import ActionStore
from marketdata.storage.calendars import load_calendars
from marketdata.storage.ingestion.claims import Claim, RunClaims
from marketdata.storage.neighbours import read_before
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.quarantine import append_quarantined

log = logging.getLogger(__name__)

# Neighbours before the first bar of a page: what spikes and repeats are seen against.
_NEIGHBOURS: Final = 64
# Up to here a check takes less than a switch to a thread and back would gain.
_CHECKED_ON_THE_LOOP: Final = 1_000
# What a provider announces for the days to come is an action already.
_AHEAD: Final = timedelta(days=7)


class QualityCheckers:
    """Makes the checkers of tasks.

    Parameters
    ----------
    pools : Pools
        Where neighbours are read.
    actions : ActionStore
        Where corporate actions are read, and stored where a provider tells new ones.
    claims : RunClaims
        Where actions that cannot be stored are remarked.
    clock : Clock
        What is now.
    """

    def __init__(self, pools: Pools, actions: ActionStore, claims: RunClaims, clock: Clock) -> None:
        self.pools = pools
        self.actions = actions
        self.claims = claims
        self.clock = clock

    async def make(
        self, claim: Claim, task: OpenTask, symbol: Symbol, provider: Provider
    ) -> "QualityChecker":
        """Make the checker of a task, whose first page begins where the task is."""
        calendars = await load_calendars([symbol.calendar])
        before = await read_before(
            self.pools, symbol.symbol, task.timeframe, task.done_until_us, _NEIGHBOURS
        )
        known = await self.actions.list_all(symbol.symbol)
        return QualityChecker(
            self, claim, task, symbol, provider, calendars[symbol.calendar], before, known
        )


class QualityChecker:
    """Checks the pages of one task, in their order."""

    def __init__(
        self,
        shared: QualityCheckers,
        claim: Claim,
        task: OpenTask,
        symbol: Symbol,
        provider: Provider,
        calendar: SessionCalendar,
        before: BarFrame,
        known: Sequence[CorporateAction],
    ) -> None:
        self._shared = shared
        self._claim = claim
        self._task = task
        self._symbol = symbol
        self._provider = provider
        self._calendar = calendar
        self._before = before
        self._known = {(action.kind, action.ex_date): action for action in known}
        self._has_asked_for_actions = False
        self._remarks: set[str] = set()

    async def check(self, page: BarsPage) -> CheckedPage:
        """Tell what is to be committed of a page.

        Corporate actions that came with it, or that explain what looks like a split, are stored first:
        they are facts by themselves, whatever becomes of the page.
        """
        await self._take(page.actions)
        report = await self._judge(page.frame)
        if report.suspects_split and await self._ask_for_actions(page):
            report = await self._judge(page.frame)
        if len(report.accepted):
            self._before = report.accepted.take(slice(-_NEIGHBOURS, None))
        return CheckedPage(
            task=self._task.task,
            symbol_id=self._symbol.symbol_id,
            range=page.range,
            settled_us=self._settled_us(page, report),
            fetched=len(page.frame),
            accepted=report.accepted,
            quarantined=len(report.rejected),
            flagged=len(report.flagged),
            keep_aside=self._keeper(report),
        )

    def _settled_us(self, page: BarsPage, report: QualityReport) -> int:
        """Tell up to where a page need not be asked for again: a bar that had not ended is left out."""
        if report.forming_us is None:
            return page.range.end_us
        step_us = self._task.timeframe.alignment_us
        # Running bars can be stamped with the second of their last trade.
        opened_us = report.forming_us - report.forming_us % step_us
        return max(page.range.start_us, min(page.range.end_us, opened_us))

    def _keeper(self, report: QualityReport) -> Callable[[Connection], Awaitable[None]]:
        async def keep_aside(connection: Connection) -> None:
            for judged in (report.rejected, report.flagged):
                await append_quarantined(
                    connection,
                    judged,
                    self._task.timeframe,
                    provider=self._claim.provider,
                    run_id=self._claim.run_id,
                )

        return keep_aside

    async def _judge(self, frame: BarFrame) -> QualityReport:
        context = QualityContext(
            timeframe=self._task.timeframe,
            calendar=self._calendar,
            now_us=self._shared.clock.now_us(),
            tick_size=self._symbol.tick_size,
            before=self._before,
            actions=tuple(self._known.values()),
        )
        if len(frame) <= _CHECKED_ON_THE_LOOP:
            return check_quality(frame, context)
        return await asyncio.to_thread(check_quality, frame, context)

    async def _ask_for_actions(self, page: BarsPage) -> bool:
        """Ask the provider, once a task, what could explain a jump; tell whether anything is new."""
        if self._has_asked_for_actions or not self._provider.capabilities.has_actions:
            return False
        self._has_asked_for_actions = True
        start = session_date(page.range.start_us)
        end = session_date(self._shared.clock.now_us()) + _AHEAD
        try:
            found = await self._provider.fetch_actions(self._symbol, start, end)
        except ProviderError as error:
            await self._remark(f"what looks like a split could not be looked up: {error.message}")
            return False
        return await self._take(found)

    async def _take(self, actions: Sequence[CorporateAction]) -> bool:
        """Store actions that are not known yet; tell whether there were any."""
        new = [action for action in actions if (action.kind, action.ex_date) not in self._known]
        if not new:
            return False
        own, others = await self._shared.actions.part_by_identity(self._symbol, new)
        for action in others:
            reason = f"{self._symbol.symbol} did not name this symbol then"
            await self._remark_refused(action, reason)
        sound, refused = sift_actions(own)
        for finding in refused:
            await self._remark_refused(finding.action, finding.description)
        if not sound:
            return False
        for action in await self._store(sound):
            self._known[action.kind, action.ex_date] = action
        return True

    async def _store(self, actions: Sequence[CorporateAction]) -> Sequence[CorporateAction]:
        try:
            provider = self._claim.provider
            await self._shared.actions.create(self._symbol.symbol, actions, provider)
        except InvalidRequestError as error:
            if len(actions) == 1:
                reasons = "; ".join(violation.description for violation in error.violations)
                await self._remark_refused(actions[0], reasons or error.message)
                return ()
            # One that contradicts what is stored does not keep the others away.
            return [stored for action in actions for stored in await self._store([action])]
        return actions

    async def _remark_refused(self, action: CorporateAction, reason: str) -> None:
        await self._remark(f"{action.kind.value} of {action.ex_date} was not stored: {reason}")

    async def _remark(self, text: str) -> None:
        if text in self._remarks:
            return
        self._remarks.add(text)
        log.warning("ingestion_remark", extra={"symbol": self._symbol.symbol, "remark": text})
        await self._shared.claims.remark(self._claim, self._task.task, text)
