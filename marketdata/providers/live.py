"""The protocol that every live feed keeps: what it tells, also of itself."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from marketdata.domain.bars import BarFrame
from marketdata.domain.symbol import Symbol


@dataclass(frozen=True, slots=True)
class FeedUp:
    """The feed has taken a subscription: from here on nothing is missed until it is down.

    What was made before is not told; whoever follows the feed fetches it.

    Attributes
    ----------
    symbols : tuple of str
        Those that it will tell of, in this service's spelling.
    refused : tuple of str
        Those that it will not.
    """

    symbols: tuple[str, ...]
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class FeedBars:
    """Bars as they were made or revised.

    Attributes
    ----------
    frame : BarFrame
        Of minutes, raw, with all columns, in this service's spelling, not checked; FINAL on all. The
        later of two bars of one symbol and time is the truer one.
    """

    frame: BarFrame


@dataclass(frozen=True, slots=True)
class FeedDown:
    """The feed tells nothing until it is up again, which it tries by itself.

    Attributes
    ----------
    problem : str
        Why, and what to do about it; never a key.
    retry_seconds : float
        When it tries again.
    """

    problem: str
    retry_seconds: float


FeedEvent = FeedUp | FeedBars | FeedDown


class LiveFeed(Protocol):
    """Tells bars as they are made."""

    @property
    def name(self) -> str:
        """The feed that bars are stored under: ``alpaca/iex``."""
        ...

    def events(self, symbols: Sequence[Symbol]) -> AsyncGenerator[FeedEvent, None]:
        """Follow the feed until cancelled; it connects again by itself, however often it must.

        Raises
        ------
        ProviderKeyError
            It refuses the key, or what the key's plan allows: only an operator can mend that.
        """
        ...
