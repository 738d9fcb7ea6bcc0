"""What follows a live feed, put together once a process."""

from datetime import timedelta

from marketdata.clock import Clock
from marketdata.ingestion.assembly import Ingestion, lease_owner, renew_seconds
from marketdata.ingestion.followed_symbols import FollowedSymbols
from marketdata.ingestion.live_catch_up import RunCatchUp
from marketdata.ingestion.live_follower import FollowerTimes, LiveFollower
from marketdata.ingestion.live_session import LiveSession
from marketdata.providers.live import LiveFeed
from marketdata.storage.ingestion.feed_leases import FeedClaim, FeedLeases
from marketdata.storage.ingestion.slots import SlotReader
from marketdata.storage.intake import BarIntake
from marketdata.storage.pools import Pools


def build_follower(
    feed: LiveFeed,
    ingestion: Ingestion,
    pools: Pools,
    intake: BarIntake,
    clock: Clock,
    lease_seconds: float,
) -> LiveFollower:
    """Put a follower together.

    Parameters
    ----------
    feed : LiveFeed
        What is followed.
    ingestion : Ingestion
        Fetches what the feed does not tell.
    lease_seconds : float
        How long after the last sign of life of a process the feed is taken over.
    """
    leases = FeedLeases(pools, lease_owner(), timedelta(seconds=lease_seconds))
    catch_up = RunCatchUp(ingestion.runs, ingestion.starter)
    provider = feed.name.partition("/")[0]
    symbols = FollowedSymbols(provider, ingestion.targets.list_all, SlotReader(pools), ingestion.runs)

    def make_session(claim: FeedClaim) -> LiveSession:
        return LiveSession(feed, claim, leases, intake, catch_up, clock)

    seconds = renew_seconds(lease_seconds)
    return LiveFollower(feed, leases, make_session, symbols, FollowerTimes(seconds, seconds))
