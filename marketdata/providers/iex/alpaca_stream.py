"""Alpaca's stream of minutes: connects, says who asks, subscribes, and does so again after each break.

One connection an account: a second one is refused (406) while the first lives.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from marketdata.domain.bars import BarFrame
from marketdata.domain.symbol import Symbol
from marketdata.errors import ProviderError, ProviderKeyError, ProviderUnavailableError
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
from marketdata.providers.live import FeedBars, FeedDown, FeedEvent, FeedUp

_PROVIDER: Final = "alpaca"


@dataclass(frozen=True, slots=True)
class StreamPatience:
    """How long a stream is waited for.

    Attributes
    ----------
    greeting_seconds : float
        From the connection to the first bars' promise: greeting, key and subscription.
    first_seconds, most_seconds : float
        Before it is tried again: doubles from the first to the most.
    """

    greeting_seconds: float = 10.0
    first_seconds: float = 0.5
    most_seconds: float = 30.0


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
        failures = 0
        while True:
            try:
                async with aclosing(self._connection(spelled)) as events:
                    async for event in events:
                        # Not by its greeting: one that greets and hangs up is no better.
                        failures = 0 if isinstance(event, FeedBars) else failures
                        yield event
            except ProviderKeyError as error:
                refused = self._redactor.redact(error.message)
            except ProviderError as error:
                failures += 1
                down = FeedDown(self._redactor.redact(error.message), self._wait_seconds(failures))
                yield down
                await asyncio.sleep(down.retry_seconds)
                continue
            # Outside of the except clause: no traceback leads back to what was sent.
            raise ProviderKeyError(refused)

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

    def _wait_seconds(self, failures: int) -> float:
        # The exponent is bounded: a float overflows after a thousand doublings.
        longest = self._patience.first_seconds * 2.0 ** min(failures - 1, 20)
        return min(self._patience.most_seconds, longest) * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret


def _respelled(frame: BarFrame, spelled: Mapping[str, str]) -> BarFrame:
    """Return the bars under this service's tickers."""
    return replace(frame, symbols=tuple(spelled.get(theirs, theirs) for theirs in frame.symbols))
