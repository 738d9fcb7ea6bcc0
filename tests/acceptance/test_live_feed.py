"""A service follows a live feed through breaks and kills: no minute is missing, none is twice."""

import json
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from marketdata.client import FeedState, NewIngestionTarget, NewSymbol, SyncMarketDataClient
from marketdata.domain.timeframe import Timeframe
from tests.acceptance.ingestion_truth import differences
from tests.acceptance.live_market import Market, open_market
from tests.acceptance.processes import Service, begin
from tests.support.providers.iex.alpaca_side import KEY_ID, SECRET

Start = Callable[..., Service]

SYMBOLS: Final = tuple("QABCDEFGHI"[at] + "X" for at in range(10))
ROUNDS: Final = 25
_SECONDS: Final = 60.0


def settings(market: Market) -> dict[str, str | int]:
    """Set a service up to follow the market."""
    return {
        **market.settings(),
        "MARKETDATA_ALPACA_KEY_ID": KEY_ID,
        "MARKETDATA_ALPACA_SECRET_KEY": SECRET,
        "MARKETDATA_ALPACA_CALLS_A_MINUTE": 100_000,
        "MARKETDATA_INGESTION_LEASE_SECONDS": "0.5",
    }


def want(service: Service) -> None:
    """Make symbols known, and want their minutes."""
    with SyncMarketDataClient(service.address) as client:
        for symbol in SYMBOLS:
            client.create_symbol(NewSymbol(symbol))
        client.create_ingestion_target(
            NewIngestionTarget("live", SYMBOLS, (Timeframe.MINUTE_1,), ("alpaca",))
        )


def wait_until_live(service: Service) -> None:
    """Wait until bars are stored as they come."""
    deadline = time.monotonic() + _SECONDS
    with SyncMarketDataClient(service.address) as client:
        while [feed.state for feed in client.list_live_feeds()] != [FeedState.LIVE]:
            assert time.monotonic() < deadline, service.log()[-3000:]
            time.sleep(0.05)


def wait_until_stored(service: Service, market: Market) -> None:
    """Wait until all that there is is stored."""
    deadline = time.monotonic() + _SECONDS
    while problems := differences(service.database(), market.expected()):
        assert time.monotonic() < deadline, (problems[:3], service.log()[-3000:])
        time.sleep(0.05)


def told(service: Service, *arguments: str) -> list[dict[str, Any]]:
    """Run a command that writes a row a line."""
    process = begin(service.folder, *arguments, "--address", service.address)
    out, err = process.communicate(timeout=_SECONDS)
    assert process.returncode == 0, err
    return [json.loads(line) for line in out.splitlines()]


def last_minute(market: Market) -> str:
    """Tell the open of the last minute that has been."""
    bars = market.expected()[SYMBOLS[0], Timeframe.MINUTE_1]
    return datetime.fromtimestamp(int(bars.time_us[-1]) / 1e6, UTC).isoformat()


@pytest.mark.timeout(600)
def test_service_given_breaks_and_kills_has_every_minute_once(empty_folder: Path, start: Start) -> None:
    """At random minutes are told, or missed while the stream is broken or nobody lives."""
    chance = random.Random(11)  # noqa: S311 -- no secret
    with open_market(SYMBOLS, time.time_ns() // 1_000) as market:
        market.move_on(20, is_told=False)
        service = start(empty_folder, **settings(market))
        want(service)
        market.wait_for_a_follower()
        wait_until_live(service)
        # With the first bar it is known up to where they are complete. (Before, a fetch goes on from
        # where the last one ended, which for this market of the past is today.)
        market.move_on(1, is_told=True)
        wait_until_stored(service, market)
        for _ in range(ROUNDS):
            match chance.choices(("told", "break", "kill"), (6, 3, 1))[0]:
                case "told":
                    market.move_on(chance.randint(1, 5), is_told=True)
                case "break":
                    # What was on its way when it broke. (Afterwards, it could be up again already.)
                    market.move_on(chance.randint(0, 3), is_told=False)
                    market.hang_up()
                    market.wait_for_a_follower()
                case "kill":
                    service.kill()
                    market.move_on(chance.randint(0, 3), is_told=False)
                    service = start(empty_folder, **settings(market))
                    market.wait_for_a_follower()
            if chance.random() < 0.3:
                wait_until_stored(service, market)
        wait_until_stored(service, market)
        assert SECRET not in service.log()
        (feed,) = told(service, "ingest", "feeds", "--json")
        assert (feed["feed"], feed["is_followed"], feed["state"]) == ("alpaca/iex", True, "live")
        assert feed["complete_until"] == last_minute(market)
