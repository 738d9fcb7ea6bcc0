"""Live feeds on the wire."""

from typing import Final

from bifrost.marketdata.v1 import live_feed_pb2

from marketdata.domain.live_feed import FeedState, FeedStatus
from marketdata.wire.times import to_timestamp

FEED_STATE_TO_PROTO: Final = {
    FeedState.DOWN: live_feed_pb2.LIVE_FEED_STATE_DOWN,
    FeedState.CATCHING_UP: live_feed_pb2.LIVE_FEED_STATE_CATCHING_UP,
    FeedState.LIVE: live_feed_pb2.LIVE_FEED_STATE_LIVE,
}


def to_proto_live_feed(status: FeedStatus) -> live_feed_pb2.LiveFeed:
    """Turn how a feed is into its message."""
    message = live_feed_pb2.LiveFeed(
        feed=status.feed,
        owner=status.owner,
        is_followed=status.is_followed,
        state=FEED_STATE_TO_PROTO[status.state],
        problem=status.problem,
        change_time=to_timestamp(status.changed_us),
    )
    if status.complete_until_us is not None:
        message.complete_until.CopyFrom(to_timestamp(status.complete_until_us))
    return message
