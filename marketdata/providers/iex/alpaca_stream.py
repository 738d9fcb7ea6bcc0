"""Alpaca's stream of minutes: connects, says who asks, subscribes, and does so again after each break.

One connection an account: a second one is refused (406) while the first lives.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from marketdata.domain.bars import BarFrame
from marketdata.domain.reconnect import Reconnect
from marketdata.domain.symbol import Symbol
from marketdata.errors import ProviderUnavailableError
from marketdata.providers.http.redaction import Redactor
from marketdata.providers.http.socket import Socket, SocketBounds, open_socket
from marketdata.providers.iex.alpaca_messages import (
    StreamMessage,
    StreamState,
    Subscribed,
    authentication,
    parse_message,
    subscription,
)
from marketdata.providers.live import FeedBars, FeedEvent, FeedUp
from marketdata.providers.live_connections import FEED_RECONNECT, follow_connections

_PROVIDER: Final = "alpaca"


@dataclass(frozen=True, slots=True)
class StreamPatience:
    """How long a stream is waited for.

    Attributes
    ----------
    greeting_seconds : float
        From the connection to the first bars' promise: greeting, key and subscription.
    reconnect : Reconnect
        Before it is tried again.
    """

    greeting_seconds: float = 10.0
    reconnect: Reconnect = FEED_RECONNECT


@dataclass(frozen=True, slots=True)
class StreamAccount:
    """Whose stream it is, and of which prints.

    Attributes
    ----------
    key_id, secret : str
        Of the account.
    address : str
        ``https://host`` of the stream.
    feed : str
        ``iex``, or ``sip`` where the plan has it.
    """

    key_id: str
    secret: str
    address: str
    feed: str = "iex"


class AlpacaStream:
    """Follows the minutes of one account.

    Parameters
    ----------
    account : StreamAccount
        Whose.
    bounds : SocketBounds, optional
        What a connection may take.
    patience : StreamPatience, optional
        How long it is waited for.
    """

    def __init__(
        self,
        account: StreamAccount,
        bounds: SocketBounds | None = None,
        patience: StreamPatience | None = None,
    ) -> None:
        self._account = account
        self._bounds = bounds or SocketBounds()
        self._patience = patience or StreamPatience()
        self._redactor = Redactor((account.key_id, account.secret))

    @property
    def name(self) -> str:
        """The feed that bars are stored under."""
        return f"{_PROVIDER}/{self._account.feed}"

    async def events(self, symbols: Sequence[Symbol]) -> AsyncGenerator[FeedEvent, None]:
        """Follow the feed; see `LiveFeed.events`."""
        spelled = {
            symbol.provider_symbols.get(_PROVIDER, symbol.symbol): symbol.symbol for symbol in symbols
        }
        connections = follow_connections(
            lambda: self._connection(spelled), self._patience.reconnect, self._redactor.redact
        )
        async with aclosing(connections) as events:
            async for event in events:
                yield event

    async def _connection(self, spelled: Mapping[str, str]) -> AsyncGenerator[FeedEvent, None]:
        """Follow one connection to its end, which is an error."""
        path = f"/v2/{self._account.feed}"
        async with open_socket(self._account.address, path, self._bounds) as socket:
            try:
                async with asyncio.timeout(self._patience.greeting_seconds):
                    taken, early = await self._introduce(socket, spelled)
            except TimeoutError:
                raise ProviderUnavailableError("Alpaca's stream does not greet") from None
            refused = tuple(own for theirs, own in spelled.items() if theirs not in taken)
            yield FeedUp(tuple(own for theirs, own in spelled.items() if theirs in taken), refused)
            for frame in early:
                yield FeedBars(_respelled(frame, spelled))
            while True:
                message = parse_message(await socket.receive(), self.name)
                if message.bars is not None:
                    yield FeedBars(_respelled(message.bars, spelled))

    async def _introduce(
        self, socket: Socket, spelled: Mapping[str, str]
    ) -> tuple[frozenset[str], list[BarFrame]]:
        """Say who asks for what; return what will be told, and bars that came at once."""
        await self._until(socket, StreamState.CONNECTED)
        await socket.send(authentication(self._account.key_id, self._account.secret))
        await self._until(socket, StreamState.AUTHENTICATED)
        await socket.send(subscription(list(spelled)))
        early: list[BarFrame] = []
        while True:
            message = parse_message(await socket.receive(), self.name)
            if message.bars is not None:
                early.append(message.bars)
            for news in message.news:
                if isinstance(news, Subscribed):
                    return news.bars, early

    async def _until(self, socket: Socket, state: StreamState) -> StreamMessage:
        while True:
            message = parse_message(await socket.receive(), self.name)
            if state in message.news:
                return message


def _respelled(frame: BarFrame, spelled: Mapping[str, str]) -> BarFrame:
    """Return the bars under this service's tickers."""
    return replace(frame, symbols=tuple(spelled.get(theirs, theirs) for theirs in frame.symbols))
