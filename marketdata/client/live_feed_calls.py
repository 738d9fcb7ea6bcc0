"""The call of IngestionService about live feeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bifrost.marketdata.v1 import live_feed_pb2

from marketdata.client import methods
from marketdata.client.caller import Caller
from marketdata.client.times import decode_moment
from marketdata.domain.live_feed import FeedState
from marketdata.wire.live_feeds import FEED_STATE_TO_PROTO

_STATE_OF: Final = {number: state for state, number in FEED_STATE_TO_PROTO.items()}


@dataclass(frozen=True, slots=True)
class LiveFeed:
    """A live feed that a process follows, or followed.

    Attributes
    ----------
    feed : str
        Its name: ``alpaca/iex``.
    owner : str
        The process that follows it, for people.
    is_followed : bool
        Whether that process has shown a sign of life lately.
    state : FeedState
        How it is, as that process said last.
    problem : str
        Why it is down, or what is missing still; empty where nothing is.
    complete_until : datetime or None
        All bars of it that open before are stored; UTC. None where nothing is known.
    changed : datetime
        When the state changed; UTC.
    """

    feed: str
    owner: str
    is_followed: bool
    state: FeedState
    problem: str
    complete_until: datetime | None
    changed: datetime


class LiveFeedCalls(Caller):
    """Live feeds."""

    async def list_live_feeds(self, *, timeout_seconds: float | None = None) -> Sequence[LiveFeed]:
        """List the live feeds that are or were followed, by name, with how each is."""
        request = live_feed_pb2.ListLiveFeedsRequest()
        response = await self._call(methods.LIST_LIVE_FEEDS, request, timeout_seconds)
        return [_from_proto(feed) for feed in response.feeds]


def _from_proto(feed: live_feed_pb2.LiveFeed) -> LiveFeed:
    complete_until = None
    if feed.HasField("complete_until"):
        complete_until = decode_moment(feed.complete_until)
    return LiveFeed(
        feed.feed,
        feed.owner,
        feed.is_followed,
        _STATE_OF.get(feed.state, FeedState.DOWN),
        feed.problem,
        complete_until,
        decode_moment(feed.change_time),
    )
