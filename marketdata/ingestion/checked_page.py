"""A page of bars that was checked, on its way to COMMIT."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from marketdata.domain.bars import BarFrame
from marketdata.domain.ingestion_run import OpenTask
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange
from marketdata.providers.protocol import BarsPage, Provider
from marketdata.storage.ingestion.claims import Claim
from marketdata.storage.pools import Connection


@dataclass(frozen=True, slots=True, eq=False)
class CheckedPage:
    """What is to be committed of a page, in one transaction.

    Attributes
    ----------
    task : int
        Number of its task within the run.
    symbol_id : int
        The identity whose bars these are.
    range : TimeRange
        What it completes: everything of the task before its end is committed with this page.
    settled_us : int
        Of the range the part before it holds final bars only, and need not be asked for again, Unix
        microseconds.
    fetched : int
        Bars of the page.
    accepted : BarFrame
        Those that may be stored, sorted by time, without duplicates; maybe none.
    quarantined, flagged : int
        Bars that are kept aside instead; bars that are stored and listed as well.
    keep_aside : callable
        Writes those two kinds where they are kept, within the transaction of its connection.
    """

    task: int
    symbol_id: int
    range: TimeRange
    settled_us: int
    fetched: int
    accepted: BarFrame
    quarantined: int
    flagged: int
    keep_aside: Callable[[Connection], Awaitable[None]]


class PageChecker(Protocol):
    """Checks the pages of one task, in their order."""

    async def check(self, page: BarsPage) -> CheckedPage:
        """Tell what is to be committed of a page."""
        ...


# Makes the checker of a task, before its first page is fetched.
MakeChecker = Callable[[Claim, OpenTask, Symbol, Provider], Awaitable[PageChecker]]
