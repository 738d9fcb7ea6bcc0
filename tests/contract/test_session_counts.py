"""Coverage session by session: on the wire, and as the client gives it."""

import asyncio
from typing import Final

import numpy as np
from bifrost.marketdata.v1 import bars_service_pb2 as messages

from marketdata.client import MarketDataClient, SyncMarketDataClient
from marketdata.domain.coverage import BarCoverage, SessionCounts
from marketdata.domain.gaps import Gaps
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.wire.coverage import CoverageRequest, to_coverage_response
from tests.contract.known import AAPL_DAYS_US, MSFT_MINUTES_US, Known
from tests.contract.requests import DAY, MINUTE_US, TUESDAY_US
from tests.support.bars import days

# What a gRPC client takes in one message unless it is told otherwise.
_DEFAULT_MESSAGE_BYTES: Final = 4 * 1024 * 1024


async def test_coverage_given_sessions_asked_counts_each(known: Known) -> None:
    """2024-01-02 to 11 without the weekend: a row a session, also for the one without bars."""
    async with MarketDataClient(known.service.address) as client:
        found = await client.get_bar_coverage("IBM", "1d", include_sessions=True)
        whole = await client.get_bar_coverage("AAPL", "1d", include_sessions=True)
    assert found.sessions is not None
    # The third stored day is a Saturday, which no calendar expects.
    assert found.sessions.label_us.tolist() == [TUESDAY_US + days(n) for n in (2, 3)]
    assert found.sessions.present.tolist() == [1, 1]
    assert whole.sessions is not None
    assert whole.sessions.label_us.tolist() == [AAPL_DAYS_US[n] for n in (0, 1, 2, 3, 6, 7, 8, 9)]
    assert whole.sessions.expected.sum() == whole.expected_count


async def test_coverage_given_minutes_counts_those_of_each_session(known: Known) -> None:
    """A whole session, and the next one of which only its first hour is asked about and not stored."""
    first_us = MSFT_MINUTES_US[0]
    request = messages.GetBarCoverageRequest(symbol="MSFT", timeframe=1, include_sessions=True)
    request.start_time.FromMicroseconds(first_us)
    request.end_time.FromMicroseconds(first_us + days(1) + 60 * MINUTE_US)
    sessions = (await known.service.bars.GetBarCoverage(request)).sessions
    assert list(sessions.session_us) == [TUESDAY_US, TUESDAY_US + days(1)]
    assert list(sessions.present_count) == [390, 0]
    assert list(sessions.expected_count) == [390, 60]


async def test_coverage_given_sessions_not_asked_has_none(known: Known) -> None:
    """Whoever did not ask gets the answer of before."""
    with SyncMarketDataClient(known.service.address) as client:
        found = await asyncio.to_thread(client.get_bar_coverage, "AAPL", "1d")
    assert found.sessions is None
    request = messages.GetBarCoverageRequest(symbol="AAPL", timeframe=DAY)
    assert not (await known.service.bars.GetBarCoverage(request)).HasField("sessions")


async def test_coverage_given_second_page_does_not_repeat_the_sessions(known: Known) -> None:
    """Sessions come with the first page of gaps only."""
    request = messages.GetBarCoverageRequest(
        symbol="MSFT", timeframe=DAY, page_size=1, include_sessions=True
    )
    request.start_time.FromMicroseconds(TUESDAY_US - days(5))
    request.end_time.FromMicroseconds(TUESDAY_US + days(30))
    first = await known.service.bars.GetBarCoverage(request)
    assert len(first.sessions.session_us) > 10
    assert first.next_page_token
    request.page_token = first.next_page_token
    second = await known.service.bars.GetBarCoverage(request)
    assert len(second.gaps) == 1
    assert not second.HasField("sessions")


def test_coverage_response_given_most_sessions_fits_into_a_message() -> None:
    """Two centuries of sessions on every day are less than what any client takes at once."""
    first_us, end_us = Timeframe.MINUTE_1.earliest_us, Timeframe.DAY_1.latest_us
    first_us = min(first_us, Timeframe.DAY_1.earliest_us)
    label_us = np.arange(first_us, end_us, MICROSECONDS_PER_DAY)
    full = np.full(len(label_us), 1_440)
    none = np.empty(0, np.int64)
    found = BarCoverage(
        count=0,
        first_us=None,
        last_us=None,
        expected=0,
        present=0,
        quarantined=0,
        gaps=Gaps(none, none, none, none),
        searched=TimeRange(first_us, end_us),
        sessions=SessionCounts(label_us, full, full, full, full, np.full(len(label_us), 6, np.int8)),
    )
    asked = CoverageRequest(
        "AAPL", Timeframe.DAY_1, None, None, 100, None, with_sessions=True, as_of=None
    )
    response = to_coverage_response(messages.GetBarCoverageRequest(), asked, found, 7)
    assert len(response.sessions.session_us) == 73_049
    assert response.ByteSize() < _DEFAULT_MESSAGE_BYTES / 2
