"""Feeds: one product of one provider, ranked against the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed that bars can come from.

    Attributes
    ----------
    feed_id : int
        What the `feed` column of a stored bar holds.
    provider, feed : str
        The company's API and its product: ``alpaca``, ``iex``.
    rank : int
        The greater outranks: a bar of a lower rank never replaces one of a higher rank.
    """

    feed_id: int
    provider: str
    feed: str
    rank: int

    @property
    def name(self) -> str:
        """``provider/feed``: how the feed is named on the wire and to people."""
        return f"{self.provider}/{self.feed}"


# Bars that a person or another service sends without naming a feed. It outranks every provider,
# since somebody put these numbers there on purpose.
DEFAULT_FEED: Final = "manual/upload"


class FeedCatalog:
    """The known feeds, by id and by name.

    Parameters
    ----------
    feeds : sequence of Feed
        All rows of `market_feed`.
    """

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._by_name = {feed.name: feed for feed in feeds}
        self.names: Mapping[int, str] = {feed.feed_id: feed.name for feed in feeds}
        self.ranks: Mapping[int, int] = {feed.feed_id: feed.rank for feed in feeds}

    def find(self, name: str) -> Feed | None:
        """Find the feed called `name` (``provider/feed``), or None."""
        return self._by_name.get(name)

    def known_names(self) -> list[str]:
        """List all names, the highest rank first."""
        ranked = sorted(self._by_name.values(), key=lambda feed: (-feed.rank, feed.name))
        return [feed.name for feed in ranked]
