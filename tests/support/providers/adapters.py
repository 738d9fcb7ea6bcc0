"""Adapters as the conformance suite sees them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, Protocol

from marketdata.clock import ManualClock
from marketdata.domain.bars import BarColumn
from marketdata.errors import ProviderLimitError
from marketdata.providers.http.assembly import Surroundings
from marketdata.providers.http.caller import Patience
from marketdata.providers.http.client import CallBounds
from marketdata.providers.protocol import Provider
from tests.support.providers.faults import Fault, FaultPlan, never
from tests.support.providers.played import PlayedCall
from tests.support.providers.truth import NOW_US, Truth, truth

_OHLCV: Final = frozenset(
    {BarColumn.OPEN, BarColumn.HIGH, BarColumn.LOW, BarColumn.CLOSE, BarColumn.VOLUME}
)


class NotedQuota:
    """Counts calls in memory, and refuses those beyond a number.

    Parameters
    ----------
    most : int or None
        How many there are; None: as many as the adapter says.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self.taken: list[tuple[str, str]] = []
        self.refused = 0

    async def take(self, provider: str, key_id: str, calls_a_day: int) -> None:
        """Count a call, or refuse it."""
        if len(self.taken) >= (calls_a_day if self._most is None else self._most):
            self.refused += 1
            raise ProviderLimitError("no calls left today", retry_after_seconds=3_600.0)
        self.taken.append((provider, key_id))


@dataclass
class NotedWaits:
    """Keeps what it is told."""

    noted: list[tuple[str, str, float]] = field(default_factory=list)

    def add(self, provider: str, reason: str, seconds: float) -> None:
        """Note a wait."""
        self.noted.append((provider, reason, seconds))


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Under which an adapter is tried.

    Attributes
    ----------
    truth : Truth
        What its provider knows.
    faults : FaultPlan
        What goes wrong.
    page_bars : int
        How many bars the provider answers at a time, where it answers in pages of its own.
    bounds, patience
        Of the adapter's calls; an adapter over another client takes of them what it can.
    quota, waits, clock
        Are injected.
    """

    truth: Truth = field(default_factory=truth)
    faults: FaultPlan = never
    page_bars: int = 1_000
    bounds: CallBounds = field(default_factory=CallBounds)
    patience: Patience = field(default_factory=lambda: Patience(3, 0.002))
    quota: NotedQuota = field(default_factory=NotedQuota)
    waits: NotedWaits = field(default_factory=NotedWaits)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW_US))

    def surroundings(self) -> Surroundings:
        """Give what an adapter over HTTP works with."""
        return Surroundings(self.quota, self.waits, self.clock, self.bounds, self.patience)


class Side(Protocol):
    """The provider's side, as far as tests look at it."""

    @property
    def calls(self) -> Sequence[PlayedCall]:
        """All calls so far; empty where there is no server."""
        ...

    @property
    def most_at_once(self) -> int:
        """Most calls that were under way at a time."""
        ...

    def open_connections(self) -> int:
        """Count the connections that are open."""
        ...


@dataclass(frozen=True, slots=True)
class Played:
    """An adapter and the provider's side that is played to it."""

    provider: Provider
    side: Side


@dataclass(frozen=True, slots=True)
class AdapterUnderTest:
    """An adapter: how to build it, and what can be asked of it.

    Attributes
    ----------
    name : str
        Of the provider.
    variant : str
        Tells several of one provider apart.
    play : callable
        Builds the adapter against a played provider; both end with the context.
    columns : frozenset of BarColumn
        What it tells besides time; the other columns have to hold the marks for missing values.
    faults : frozenset of Fault
        What its side can play.
    secrets : tuple of str
        What must not show anywhere.
    spellings : mapping of str to str
        How the provider spells symbols that it spells otherwise.
    tells_unknown : bool
        Whether it tells an unknown symbol from one without bars.
    company_fields : frozenset of str
        The fields of `CompanyFacts` that it tells.
    has_terms_page : bool
        Whether there is a page with its terms.
    has_daily_limit : bool
        Whether its calls a day are limited, and so counted.
    """

    name: str
    play: Callable[[Circumstances], AbstractAsyncContextManager[Played]]
    variant: str = ""
    columns: frozenset[BarColumn] = _OHLCV
    faults: frozenset[Fault] = frozenset()
    secrets: tuple[str, ...] = ()
    spellings: Mapping[str, str] = field(default_factory=dict)
    tells_unknown: bool = True
    company_fields: frozenset[str] = frozenset()
    has_terms_page: bool = True
    has_daily_limit: bool = False

    def __str__(self) -> str:
        """Name it in a test's id."""
        return f"{self.name}_{self.variant}" if self.variant else self.name


OHLCV: Final = _OHLCV
