"""One GET: bounded in time, size and trust. Knows nothing of limits, retries or providers."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from marketdata.clock import Clock
from marketdata.errors import (
    ConfigurationError,
    ProviderAnswerError,
    ProviderError,
    ProviderUnavailableError,
)
from marketdata.providers.http.address import address_problem
from marketdata.providers.http.answer import HttpAnswer

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# A provider that moves a path within its host does it in one step or two.
_MOST_REDIRECTS: Final = 3
_CHUNK_BYTES: Final = 65_536
# Calls in a row share a connection. One that was idle for longer may just be closed by the provider:
# the call would fail, and be lost where calls are counted by the day.
_KEEPALIVE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class CallBounds:
    """What one call may take.

    Attributes
    ----------
    connect_seconds : float
        To resolve, connect and shake hands.
    silence_seconds : float
        Longest time without a byte.
    total_seconds : float
        The whole call: a server that sends a byte now and then is no answer either.
    body_bytes : int
        Most bytes of a body, unpacked. A month of minutes is 2 MB of CSV, 20 years of days 1 MB.
    """

    connect_seconds: float = 10.0
    silence_seconds: float = 20.0
    total_seconds: float = 60.0
    body_bytes: int = 32 * 1024 * 1024


class HttpClient:
    """Asks one host. Messages of its errors hold neither addresses nor what stood in them.

    Parameters
    ----------
    base_address : str
        ``https://host``, with a path where the provider has one; see `address_problem`.
    bounds : CallBounds
        What a call may take.
    clock : Clock
        Stamps answers.
    headers : mapping of str to str, optional
        Sent with each call, and to no other host: keys.

    Raises
    ------
    ConfigurationError
        Keys must not be sent to that address.
    """

    def __init__(
        self,
        base_address: str,
        bounds: CallBounds,
        clock: Clock,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        problem = address_problem(base_address)
        if problem:
            raise ConfigurationError(f"the address of a provider {problem}")
        self._base = URL(base_address.rstrip("/"))
        self._bounds = bounds
        self._clock = clock
        self._headers = {"Accept-Encoding": "gzip, deflate", **(headers or {})}
        self._session: aiohttp.ClientSession | None = None

    @property
    def host(self) -> str:
        """Where it asks, for people."""
        return self._base.host or ""

    async def get(self, path: str, parameters: Mapping[str, str]) -> HttpAnswer:
        """Ask once.

        Parameters
        ----------
        path : str
            Below the base address, with a leading slash; encoded.
        parameters : mapping of str to str
            Of the query; may hold a key.

        Raises
        ------
        ProviderUnavailableError
            No connection, no answer in time, or it broke off.
        ProviderAnswerError
            It is too large, or leads to another host.
        """
        problem: ProviderError
        try:
            async with asyncio.timeout(self._bounds.total_seconds):
                return await self._follow(path, parameters)
        except TimeoutError:
            problem = ProviderUnavailableError(
                f"{self.host} did not answer within {self._bounds.total_seconds:g} seconds"
            )
        except aiohttp.ClientPayloadError:
            problem = ProviderUnavailableError(f"the answer of {self.host} broke off")
        except (aiohttp.ClientError, OSError) as error:
            # aiohttp's texts have the whole address in them.
            problem = ProviderUnavailableError(
                f"{self.host} cannot be reached ({type(error).__name__})"
            )
        # Raised outside of the except clauses: no traceback leads back to the address either.
        raise problem

    async def _follow(self, path: str, parameters: Mapping[str, str]) -> HttpAnswer:
        url = URL(f"{self._base}{path}", encoded=True).update_query(parameters)
        for _ in range(_MOST_REDIRECTS + 1):
            asked_us = self._clock.now_us()
            async with self._opened().get(url, allow_redirects=False) as response:
                if response.status not in _REDIRECTS:
                    headers = {name.lower(): value for name, value in response.headers.items()}
                    body = await self._read(response)
                    return HttpAnswer(response.status, headers, body, asked_us)
                url = self._target(url, response.headers.get("Location", ""))
        raise ProviderAnswerError(f"{self.host} redirects in a circle")

    def _target(self, url: URL, location: str) -> URL:
        try:
            target = url.join(URL(location))
        except ValueError:
            target = URL()
        if not target.absolute or target.origin() != self._base.origin():
            raise ProviderAnswerError(
                f"{self.host} redirects to another host, which is not followed: it would get the key"
            )
        return target

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._bounds.body_bytes:
                raise ProviderAnswerError(
                    f"the answer of {self.host} is larger than {self._bounds.body_bytes} bytes"
                )
        return bytes(body)

    def _opened(self) -> aiohttp.ClientSession:
        # Made with the first call: a session belongs to the loop that runs then.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                connector=aiohttp.TCPConnector(keepalive_timeout=_KEEPALIVE_SECONDS),
                middlewares=(_sent_once,),
                timeout=aiohttp.ClientTimeout(
                    sock_connect=self._bounds.connect_seconds, sock_read=self._bounds.silence_seconds
                ),
            )
        return self._session

    async def aclose(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()


async def _sent_once(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a GET again by itself when its connection breaks.

    It would be a call that nobody has counted. aiohttp repeats what ended in its own two errors.
    """
    try:
        return await send(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        problem = ProviderUnavailableError(
            f"{request.url.host} cannot be reached, or hung up ({type(error).__name__})"
        )
    raise problem
