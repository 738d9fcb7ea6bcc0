"""Feeds and their catalog."""

from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.feed import DEFAULT_FEED, Feed, FeedCatalog

SIP = Feed(feed_id=1, provider="alpaca", feed="sip", rank=80)
IEX = Feed(feed_id=2, provider="alpaca", feed="iex", rank=40)
UPLOAD = Feed(feed_id=3, provider="manual", feed="upload", rank=100)
EOD = Feed(feed_id=4, provider="sample", feed="eod", rank=40)


def test_name_given_feed_joins_provider_and_feed() -> None:
    """A feed is named as on the wire."""
    assert IEX.name == "alpaca/iex"


def test_default_feed_given_catalog_names_one_feed_of_it() -> None:
    """The default feed is spelled like any feed's name."""
    assert FeedCatalog([UPLOAD]).find(DEFAULT_FEED) == UPLOAD


def test_find_given_known_and_unknown_names_returns_feed_or_none() -> None:
    """Names are found exactly as spelled, and nothing stands in for an unknown one."""
    catalog = FeedCatalog([SIP, IEX])
    assert catalog.find("alpaca/sip") == SIP
    assert catalog.find("alpaca/SIP") is None
    assert catalog.find("sip") is None


def test_names_given_feeds_maps_ids_to_names() -> None:
    """The mapping is what a frame's `feeds` is made of."""
    assert FeedCatalog([IEX, SIP]).names == {1: "alpaca/sip", 2: "alpaca/iex"}


def test_known_names_given_ranks_lists_the_highest_first() -> None:
    """Equal ranks are ordered by name, so that the list never flickers."""
    catalog = FeedCatalog([EOD, IEX, UPLOAD, SIP])
    assert catalog.known_names() == ["manual/upload", "alpaca/sip", "alpaca/iex", "sample/eod"]


@given(st.permutations([SIP, IEX, UPLOAD, EOD]))
def test_known_names_given_any_order_of_rows_lists_the_same(feeds: list[Feed]) -> None:
    """The order of the table's rows does not show."""
    assert FeedCatalog(feeds).known_names() == FeedCatalog([SIP, IEX, UPLOAD, EOD]).known_names()


def test_catalog_given_no_feeds_is_empty() -> None:
    """A new database has no feeds, which is no error."""
    catalog = FeedCatalog([])
    assert (catalog.names, catalog.known_names(), catalog.find(DEFAULT_FEED)) == ({}, [], None)
