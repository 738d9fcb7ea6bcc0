"""What adapters are made of: addresses, keys in texts, waits, months, zones, pages."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.clock import SystemClock
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange, to_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ConfigurationError, ProviderAnswerError
from marketdata.providers.http.address import address_problem
from marketdata.providers.http.assembly import Access
from marketdata.providers.http.caller import Patience
from marketdata.providers.http.client import CallBounds, HttpClient
from marketdata.providers.http.redaction import Redactor, key_id
from marketdata.providers.local_times import find_zone, to_utc_us
from marketdata.providers.months import by_months, month_around, month_name
from marketdata.providers.paging import TokenPaging
from marketdata.providers.spelling import hyphenated
from tests.support.providers.samples import answer
from tests.support.sessions import MINUTE_US, NEW_YORK, local_us

ZONE = ZoneInfo(NEW_YORK)


@pytest.mark.parametrize(
    ("address", "is_good"),
    [
        ("https://www.alphavantage.co", True),
        ("https://proxy.example:8443/av", True),
        ("http://127.0.0.1:8080", True),
        ("http://localhost", True),
        ("http://[::1]:81", True),
        ("http://www.alphavantage.co", False),
        ("http://127.0.0.1.example", False),
        ("https://key@host.example", False),
        ("https://host.example/?apikey=1", False),
        ("https://", False),
        ("host.example", False),
        ("https://host:port", False),
        ("", False),
    ],
)
def test_address_problem_given_address_lets_keys_go_only_where_nobody_reads_them(
    address: str,
    is_good: bool,  # noqa: FBT001 -- a case's outcome
) -> None:
    """https, or loopback."""
    assert (address_problem(address) is None) is is_good


def test_client_given_plain_http_is_refused() -> None:
    """No client that would send a key in the clear can be made."""
    with pytest.raises(ConfigurationError, match="https"):
        HttpClient("http://provider.example", CallBounds(), SystemClock())


def test_redact_given_key_in_any_spelling_hides_it() -> None:
    """As it is, and as it stands in a query."""
    redactor = Redactor(["a/secret+key=", ""])
    text = "a/secret+key= a%2Fsecret%2Bkey%3D api key"
    assert redactor.redact(text) == "*** *** api key"


def test_access_given_secrets_shows_none() -> None:
    """What an adapter is made with has a representation without keys."""
    access = Access("https://host.example", ("canary",), {"Authorization": "Token canary"})
    assert "canary" not in repr(access)


def test_key_id_given_key_tells_it_apart_and_not_what_it_is() -> None:
    """The same key has the same id on every machine."""
    assert key_id("one") == key_id("one") != key_id("other")
    assert "secret" not in key_id("secret")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("Wed, 27 Nov 2024 15:06:00 GMT", 30.0),
        ("Wed, 27 Nov 2024 15:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("Wed, 27 Nov 2024 15:06:00", None),
    ],
)
def test_retry_after_given_header_is_seconds_from_when_it_was_asked(
    header: str, seconds: float | None
) -> None:
    """Seconds or a date; what cannot be read is as good as none."""
    asked_us = to_unix_us(datetime(2024, 11, 27, 15, 5, 30, tzinfo=UTC))
    assert answer("", asked_us=asked_us, retry_after=header).retry_after_seconds() == seconds


def test_retry_after_given_reset_time_is_until_then() -> None:
    """Alpaca says at which second the calls begin anew; a Retry-After beside it counts for more."""
    asked_us = to_unix_us(datetime(2024, 11, 27, 15, 5, 30, tzinfo=UTC))
    reset = str(asked_us // 1_000_000 + 12)
    assert answer("", asked_us=asked_us, x_ratelimit_reset=reset).retry_after_seconds() == 12
    assert answer("", asked_us=asked_us, x_ratelimit_reset="1").retry_after_seconds() == 0
    assert answer("", asked_us=asked_us, x_ratelimit_reset="soon").retry_after_seconds() is None
    both = answer("", asked_us=asked_us, x_ratelimit_reset=reset, retry_after="3")
    assert both.retry_after_seconds() == 3


def test_wait_given_attempts_doubles_within_its_bounds() -> None:
    """Spread over the second half, and never longer than the longest."""
    patience = Patience(attempts=9, first_wait_seconds=1.0, longest_wait_seconds=10.0)
    for attempt, longest in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 10.0), (9, 10.0)):
        waits = [patience.wait_seconds(attempt) for _ in range(50)]
        assert longest / 2 <= min(waits) <= max(waits) <= longest
        assert len(set(waits)) > 1


@pytest.mark.parametrize(
    ("symbol", "spelled"),
    [
        (Symbol("BRK.B"), "BRK-B"),
        (Symbol("AAPL", venue="XNAS"), "AAPL"),
        (Symbol("TSCO.LON", venue="XLON"), "TSCO.LON"),
        (Symbol("BRK.B", provider_symbols={"here": "BRK/B", "there": "B"}), "BRK/B"),
        (Symbol("BRK.B", provider_symbols={"there": "B"}), "BRK-B"),
    ],
)
def test_hyphenated_given_symbol_parts_classes_of_shares_only(symbol: Symbol, spelled: str) -> None:
    """Outside of America a dot parts the exchange; what is said for the provider wins."""
    assert hyphenated(symbol, "here") == spelled


def test_to_utc_us_given_switch_of_clocks_follows_it() -> None:
    """Each minute of two years at once is what it is one by one."""
    wall = [datetime(2024, 3, 8, 9, 30), datetime(2024, 3, 11, 9, 30), datetime(2024, 11, 4, 9, 30)]  # noqa: DTZ001
    wall_us = np.array([to_unix_us(time.replace(tzinfo=UTC)) for time in wall], np.int64)
    assert to_utc_us(wall_us, ZONE).tolist() == [to_unix_us(time.replace(tzinfo=ZONE)) for time in wall]


@given(
    st.lists(st.integers(0, 2 * 366 * 1_440), max_size=40), st.sampled_from([NEW_YORK, "Asia/Kolkata"])
)
def test_to_utc_us_given_any_minutes_is_what_python_says(minutes: list[int], zone: str) -> None:
    """An hour that comes twice is taken for its first coming, one that is left out runs on."""
    start_us = to_unix_us(datetime(2023, 12, 1, tzinfo=UTC))
    wall_us = start_us + np.array(minutes, np.int64) * MINUTE_US
    expected = [
        to_unix_us(datetime.fromtimestamp(us / 1e6, UTC).replace(tzinfo=ZoneInfo(zone)))
        for us in wall_us.tolist()
    ]
    assert to_utc_us(wall_us, ZoneInfo(zone)).tolist() == expected


def test_find_zone_given_strange_name_refuses_it() -> None:
    """A provider that names a zone of its own has given an answer that cannot be placed."""
    assert find_zone("US/Eastern").key == "US/Eastern"
    for name in ("Mars/Olympus", "", "../etc/passwd"):
        with pytest.raises(ProviderAnswerError):
            find_zone(name)


def test_by_months_given_range_cuts_it_at_local_midnights() -> None:
    """Without gap or overlap, the first and last cut to the range."""
    wanted = TimeRange(local_us("2023-12-15 10:00"), local_us("2024-03-20 00:00"))
    parts = list(by_months(wanted, ZONE))
    assert [part.start_us for part in parts[1:]] == [part.end_us for part in parts[:-1]]
    assert parts[0].start_us == wanted.start_us
    assert parts[-1].end_us == wanted.end_us
    assert parts[1] == month_around(parts[1].start_us, ZONE)
    names = [month_name(part.start_us, ZONE) for part in parts]
    assert names == ["2023-12", "2024-01", "2024-02", "2024-03"]
    # The evening of the last of a month in New York is the next month in UTC.
    assert month_name(local_us("2024-01-31 21:00"), ZONE) == "2024-01"


def test_paging_given_tokens_completes_the_range_piece_by_piece() -> None:
    """Each page goes on behind the last bar of the one before; the last one ends with the range."""
    start_us = local_us("2024-03-08 09:30")
    paging = TokenPaging(Timeframe.MINUTE_1, TimeRange(start_us, start_us + 10 * MINUTE_US))
    first = np.array([start_us + 2 * MINUTE_US, start_us], np.int64)
    paging.check(first, "a")
    assert paging.advance(first, "a") == TimeRange(start_us, start_us + 3 * MINUTE_US)
    with pytest.raises(ProviderAnswerError):
        paging.check(first, "b")
    with pytest.raises(ProviderAnswerError):
        paging.check(first + 3 * MINUTE_US, "a")
    none = np.empty(0, np.int64)
    assert paging.advance(none, "c") == TimeRange(start_us + 3 * MINUTE_US, start_us + 3 * MINUTE_US)
    paging.check(none, None)
    assert paging.advance(none, None).end_us == start_us + 10 * MINUTE_US
    assert paging.is_complete


def test_paging_given_bars_twice_or_of_elsewhere_refuses_them() -> None:
    """What was not asked for is not taken, nor what is there twice."""
    start_us = local_us("2024-03-08 09:30")
    paging = TokenPaging(Timeframe.MINUTE_1, TimeRange(start_us, start_us + 10 * MINUTE_US))
    for minutes in ([0, 0], [-1], [10]):
        with pytest.raises(ProviderAnswerError):
            paging.check(start_us + np.array(minutes, np.int64) * MINUTE_US, None)
