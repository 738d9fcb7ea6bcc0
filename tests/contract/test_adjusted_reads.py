"""Adjusted prices over the wire, against the sample's own adjusted close."""

import csv
from collections.abc import AsyncIterator

import numpy as np
import pytest
from bifrost.marketdata.v1 import bar_pb2, bars_service_pb2

from marketdata.providers.sample.source import fetch_sample_stocks, locate_sample, read_sample_text
from marketdata.storage.embedded import ServerAddress
from tests.contract.requests import DAY
from tests.contract.service import CALL_SECONDS, Service, serving
from tests.contract.streams import stream
from tests.support.databases import Databases

# The sample adjusts by another dividend formula; where dividends are large the two drift apart.
TOLERANCE = {"AAPL": 0.0005, "IBM": 0.0005, "GOOG": 0.0005, "FB": 0.0005, "MSFT": 0.002}


@pytest.fixture(scope="module")
async def sampled(databases: Databases) -> AsyncIterator[Service]:
    """Give a service that has the sample."""
    database: ServerAddress = await databases.migrated()
    async with serving(lambda: database) as running:
        await running.stores.sample.run(fetch_sample_stocks(), lambda _: None)
        yield running
    databases.drop(database)


def published() -> dict[str, np.ndarray]:
    """Read the adjusted closes that the sample publishes, by ticker, in the order of sessions."""
    closes: dict[str, list[float]] = {}
    for row in csv.DictReader(read_sample_text(locate_sample()).splitlines()):
        closes.setdefault(row["Ticker"], []).append(float(row["Adj Close"]))
    return {ticker: np.array(values) for ticker, values in closes.items()}


@pytest.mark.parametrize("symbol", sorted(TOLERANCE))
async def test_stream_bars_given_all_adjustments_equals_the_published_close(
    sampled: Service, symbol: str
) -> None:
    """Thirteen years of splits and dividends come out as the data set has them."""
    answer = await stream(
        sampled,
        bars_service_pb2.StreamBarsRequest(
            symbols=[symbol], timeframe=DAY, adjustment=bar_pb2.ADJUSTMENT_ALL
        ),
    )
    close = np.array([value for *_, value in answer.rows("close")])
    truth = published()[symbol]
    scaled = truth * close[-1] / truth[-1]
    assert len(close) == len(truth)
    assert np.max(np.abs(close / scaled - 1)) <= TOLERANCE[symbol]
    assert answer.header.adjustment == bar_pb2.ADJUSTMENT_ALL
    assert not answer.header.unadjusted_actions


async def test_list_bars_given_a_range_before_a_split_does_not_know_of_it(sampled: Service) -> None:
    """An action after the range leaks into none of its prices (rule 9)."""
    request = bars_service_pb2.ListBarsRequest(
        symbol="AAPL", timeframe=DAY, adjustment=bar_pb2.ADJUSTMENT_SPLIT
    )
    request.start_time.FromJsonString("2005-02-24T00:00:00Z")
    request.end_time.FromJsonString("2005-02-26T00:00:00Z")
    before = await sampled.bars.ListBars(request, timeout=CALL_SECONDS)
    assert [bar.close for bar in before.bars] == [88.93, 88.99]
    request.end_time.FromJsonString("2005-03-01T00:00:00Z")
    across = await sampled.bars.ListBars(request, timeout=CALL_SECONDS)
    assert [bar.close for bar in across.bars] == [88.93 / 2, 88.99 / 2, 44.86]
