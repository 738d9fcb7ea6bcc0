"""A live feed as operators see it: who follows it, and how it is."""

from dataclasses import dataclass
from enum import Enum


class FeedState(Enum):
    """How a feed is; the value is its label in SQL and commands."""

    DOWN = "down"
    """It tells nothing; `problem` says why."""
    CATCHING_UP = "catching_up"
    """It tells bars, which wait until those of before are fetched."""
    LIVE = "live"
    """Its bars are stored as they come."""


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """A feed that somebody follows, or followed.

    Attributes
    ----------
    feed : str
        ``provider/feed``.
    owner : str
        The process, for people.
    is_followed : bool
        Whether its lease holds.
    epoch : int
        How often it was taken.
    state : FeedState
        How it is, as its owner said last.
    problem : str
        Why it is down.
    complete_until_us : int or None
        All bars of it that open before are stored, Unix microseconds; None: nothing is known.
    changed_us : int
        When the state changed, by the database's clock, Unix microseconds.
    """

    feed: str
    owner: str
    is_followed: bool
    epoch: int
    state: FeedState
    problem: str
    complete_until_us: int | None
    changed_us: int
