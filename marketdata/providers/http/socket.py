"""A WebSocket: bounded in time, size and trust; its errors hold no address."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from marketdata.errors import ConfigurationError, ProviderAnswerError, ProviderUnavailableError
from marketdata.providers.http.address import address_problem

_SCHEMES: Final = {"https": "wss", "http": "ws"}


@dataclass(frozen=True, slots=True)
class SocketBounds:
    """What a connection may take.

    Attributes
    ----------
    connect_seconds : float
        To resolve, connect and shake hands.
    ping_seconds : float
        How often it is asked whether it lives; without an answer in half of it, it is dead. A market
        that is silent answers, too.
    message_bytes : int
        Most bytes of a message. A minute of 10,000 symbols is 1.5 MB.
    """

    connect_seconds: float = 10.0
    ping_seconds: float = 10.0
    message_bytes: int = 8 * 1024 * 1024


class Socket:
    """An open connection. Made by `open_socket`."""

    def __init__(self, socket: "aiohttp.ClientWebSocketResponse", host: str) -> None:
        self._socket = socket
        self._host = host

    async def send(self, text: str) -> None:
        """Send a message.

        Raises
        ------
        ProviderUnavailableError
            The connection has ended.
        """
        try:
            await self._socket.send_str(text)
        except (aiohttp.ClientError, OSError) as error:
            problem = ProviderUnavailableError(f"{self._host} hung up ({type(error).__name__})")
        else:
            return
        raise problem

    async def receive(self) -> str:
        """Wait for the next message.

        Raises
        ------
        ProviderUnavailableError
            The connection has ended, or does not live.
        ProviderAnswerError
            The message is too large, or no text.
        """
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            return str(message.data)
        if message.type is aiohttp.WSMsgType.BINARY:
            raise ProviderAnswerError(f"{self._host} sends no text")
        if self._socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
            raise ProviderAnswerError(f"a message of {self._host} is too large")
        if isinstance(self._socket.exception(), aiohttp.ServerTimeoutError):
            raise ProviderUnavailableError(f"{self._host} does not answer any more")
        raise ProviderUnavailableError(f"{self._host} hung up (code {self._socket.close_code})")


@asynccontextmanager
async def open_socket(base_address: str, path: str, bounds: SocketBounds) -> AsyncIterator[Socket]:
    """Connect, for the time of the context.

    Parameters
    ----------
    base_address : str
        ``https://host``; see `address_problem`.
    path : str
        Below it, with a leading slash.
    bounds : SocketBounds
        What it may take.

    Raises
    ------
    ConfigurationError
        Keys must not be sent to that address.
    ProviderUnavailableError
        It cannot be reached.
    """
    wrong = address_problem(base_address)
    if wrong:
        raise ConfigurationError(f"the address of a feed {wrong}")
    base = URL(base_address.rstrip("/"))
    url = URL(f"{base}{path}").with_scheme(_SCHEMES[base.scheme])
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=bounds.connect_seconds)
    host = base.host or ""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout) as session:
        try:
            socket = await session.ws_connect(
                url, heartbeat=bounds.ping_seconds, max_msg_size=bounds.message_bytes
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            problem = ProviderUnavailableError(f"{host} cannot be reached ({type(error).__name__})")
        else:
            async with socket:
                yield Socket(socket, host)
            return
    # Outside of the except clause: no traceback leads back to the address.
    raise problem
