"""Alpaca's stream, followed on loopback: greeting, bars, breaks, refusals."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final, TypeVar

import pytest

from marketdata.domain.bars import BarFlag, BarFrame
from marketdata.domain.reconnect import Reconnect
from marketdata.errors import ConfigurationError, ProviderKeyError
from marketdata.providers.http.socket import SocketBounds
from marketdata.providers.iex.alpaca_stream import AlpacaStream, StreamAccount, StreamPatience
from marketdata.providers.live import FeedBars, FeedDown, FeedEvent, FeedUp
from tests.support.providers.iex.alpaca_side import KEY_ID, SECRET
from tests.support.providers.iex.alpaca_stream import PlayedStream, bar, playing
from tests.support.providers.truth import AAPL, BERKSHIRE

_OPEN: Final = "2026-03-03T14:30:00Z"
_OPEN_US: Final = 1_772_548_200_000_000
_QUICK: Final = StreamPatience(0.5, Reconnect(0.01, 0.05))
_Event = TypeVar("_Event", bound=FeedEvent)


def stream(played: PlayedStream, key: str = KEY_ID, bounds: SocketBounds | None = None) -> AlpacaStream:
    """Make a stream on the played server."""
    return AlpacaStream(StreamAccount(key, SECRET, played.address), bounds, _QUICK)


@asynccontextmanager
async def following(feed: AlpacaStream) -> AsyncIterator[AsyncGenerator[FeedEvent, None]]:
    """Follow AAPL and BRK.B."""
    async with aclosing(feed.events([AAPL, BERKSHIRE])) as events:
        yield events


async def next_of(events: AsyncGenerator[FeedEvent, None], kind: type[_Event]) -> _Event:
    """Wait for the next event, which has to be of a kind."""
    event = await asyncio.wait_for(anext(events), 10)
    assert isinstance(event, kind), event
    return event


def told(frame: BarFrame) -> list[tuple[str, int, float]]:
    """List symbol, time and close of bars."""
    symbols = [frame.symbols[at] for at in frame.row_symbol_index().tolist()]
    return list(zip(symbols, frame.time_us.tolist(), frame.close.tolist(), strict=True))


async def test_stream_given_bars_tells_them_with_every_column() -> None:
    """New bars and revised ones come alike, in their order, under this service's tickers."""
    async with playing() as played, following(stream(played)) as events:
        assert await next_of(events, FeedUp) == FeedUp(("AAPL", "BRK.B"))
        await played.tell(
            [bar("AAPL", _OPEN, 100.0), bar("BRK.B", _OPEN, 500.0), bar("AAPL", _OPEN, 101.0, "u")]
        )
        frame = (await next_of(events, FeedBars)).frame
        assert told(frame) == [
            ("AAPL", _OPEN_US, 100.25),
            ("BRK.B", _OPEN_US, 500.25),
            ("AAPL", _OPEN_US, 101.25),
        ]
        assert frame.feeds == {0: "alpaca/iex"}
        assert frame.flags.tolist() == [BarFlag.FINAL] * 3
        assert (frame.volume[0], frame.trade_count[0], frame.vwap[0]) == (1200.0, 17, 100.1)


async def test_stream_given_the_running_day_and_news_leaves_them_out() -> None:
    """`d` is a day that has not ended."""
    async with playing() as played, following(stream(played)) as events:
        await next_of(events, FeedUp)
        await played.tell([bar("AAPL", _OPEN, 99.0, "d"), {"T": "s", "S": "AAPL", "sc": "H"}])
        await played.tell([bar("AAPL", _OPEN, 100.0)])
        assert told((await next_of(events, FeedBars)).frame) == [("AAPL", _OPEN_US, 100.25)]


async def test_stream_given_a_break_says_so_and_subscribes_again() -> None:
    """Whoever follows it knows that something may be missing, and from when it is not."""
    async with playing() as played, following(stream(played)) as events:
        for _ in range(3):
            await next_of(events, FeedUp)
            await played.tell([bar("AAPL", _OPEN, 100.0)])
            await next_of(events, FeedBars)
            await played.hang_up()
            assert "hung up" in (await next_of(events, FeedDown)).problem
        await next_of(events, FeedUp)
        assert played.connections == 4


async def test_stream_given_symbols_that_it_does_not_take_names_them() -> None:
    """They are not taken for silent."""
    async with playing() as played:
        played.unknown.add("BRK.B")
        async with following(stream(played)) as events:
            assert await next_of(events, FeedUp) == FeedUp(("AAPL",), ("BRK.B",))


async def test_stream_given_a_refused_key_ends_without_telling_it() -> None:
    """Trying again would not help."""
    async with playing() as played, following(stream(played, key="PK-WRONG-KEY")) as events:
        with pytest.raises(ProviderKeyError, match="402: auth failed") as caught:
            await anext(events)
        assert "PK-WRONG" not in str(caught.value)
        assert SECRET not in str(caught.value)
        assert played.connections == 1


async def test_stream_given_another_connection_of_the_account_waits_for_its_end() -> None:
    """The account has one place; it is tried again until it is free."""
    async with playing() as played, following(stream(played)) as first:
        await next_of(first, FeedUp)
        async with following(stream(played)) as second:
            assert "another connection" in (await next_of(second, FeedDown)).problem
            await played.hang_up()
            while not isinstance(event := await asyncio.wait_for(anext(second), 10), FeedUp):
                assert isinstance(event, FeedDown)


async def test_stream_given_a_server_that_does_not_greet_gives_up_waiting() -> None:
    """A connection that says nothing is none."""
    async with playing() as played:
        played.is_mute = True
        async with following(stream(played)) as events:
            assert "does not greet" in (await next_of(events, FeedDown)).problem


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        '{"T":"b"}',
        '["b"]',
        '[{"T":"b","S":"AAPL","t":"2026-03-03T14:30:00Z"}]',
        '[{"T":"b","o":1,"h":1,"l":1,"c":1,"v":1,"n":1,"vw":1,"t":"2026-03-03T14:30:00Z"}]',
        '[{"T":"b","S":"AAPL","o":1,"h":1,"l":1,"c":1,"v":1,"n":1,"vw":1,"t":"yesterday"}]',
        '[{"T":"error","code":500,"msg":"internal error"}]',
        '[{"T":"error","code":407,"msg":"slow client"}]',
    ],
)
async def test_stream_given_a_message_that_is_none_connects_anew(text: str) -> None:
    """It says what is wrong, and begins again."""
    async with playing() as played, following(stream(played)) as events:
        await next_of(events, FeedUp)
        await played.tell_texts(text)
        assert (await next_of(events, FeedDown)).retry_seconds <= _QUICK.reconnect.most_seconds
        await next_of(events, FeedUp)


async def test_stream_given_a_message_too_large_connects_anew() -> None:
    """Memory is bounded whatever the other side sends."""
    bounds = SocketBounds(message_bytes=1000)
    async with playing() as played, following(stream(played, bounds=bounds)) as events:
        await next_of(events, FeedUp)
        await played.tell([bar("AAPL", _OPEN, 100.0)] * 20)
        assert "too large" in (await next_of(events, FeedDown)).problem


async def test_stream_given_a_dead_connection_notices_it() -> None:
    """Silence is told apart from death: who lives answers pings, also where nothing is traded."""
    bounds = SocketBounds(ping_seconds=0.1)
    async with playing() as played:
        async with following(stream(played, bounds=bounds)) as events:
            await next_of(events, FeedUp)
            await asyncio.sleep(0.5)
            await played.tell([bar("AAPL", _OPEN, 100.0)])
            await next_of(events, FeedBars)
        played.answers_pings = False
        async with following(stream(played, bounds=bounds)) as events:
            while not isinstance(event := await asyncio.wait_for(anext(events), 10), FeedUp):
                assert isinstance(event, FeedDown), event  # the one before is not gone yet
            down = await next_of(events, FeedDown)
            assert "does not answer" in down.problem


async def test_stream_given_nobody_there_keeps_trying() -> None:
    """A stream that is away is down, and comes back by itself."""
    async with playing() as played:
        feed = stream(played)
    async with following(feed) as events:
        for _ in range(3):
            assert "cannot be reached" in (await next_of(events, FeedDown)).problem


async def test_stream_given_an_address_in_the_clear_sends_no_key() -> None:
    """Keys go to https only, but on loopback."""
    feed = AlpacaStream(StreamAccount(KEY_ID, SECRET, "http://stream.example.com"))
    async with following(feed) as events:
        with pytest.raises(ConfigurationError, match="https"):
            await anext(events)
