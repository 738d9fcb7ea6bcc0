"""Calls of Yahoo's site in threads: yfinance blocks, and the event loop must not."""

import asyncio
import math
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from marketdata.clock import Clock
from marketdata.errors import ProviderUnavailableError
from marketdata.providers.http.answer import HttpAnswer

if TYPE_CHECKING:
    from marketdata.providers.yahoo.session import SiteAnswer, YahooSite

# Sixty years of days take Yahoo two seconds. A cancelled call's thread is busy for as long.
_TIMEOUT_SECONDS: Final = 20.0
_REFUSED: Final = frozenset({401, 403})
_LIMITED: Final = 429
# Yahoo does not say when it answers again. Asking meanwhile makes it longer, and counts twice.
_LEFT_ALONE_SECONDS: Final = 900.0


class YahooClient:
    """Makes one call at a time in each of its threads.

    Parameters
    ----------
    clock : Clock
        Tells when a call was made.
    threads : int
        Most calls at once; each thread keeps a connection.
    session : Any, optional
        See `YahooSite`.
    timeout_seconds : float
        For each request to the site; a call makes up to five, where the first one fails.
    left_alone_seconds : float
        For how long Yahoo is not asked once it has refused for too many calls.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        threads: int,
        session: Any = None,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        left_alone_seconds: float = _LEFT_ALONE_SECONDS,
    ) -> None:
        self._clock = clock
        self._session = session
        self._timeout_seconds = timeout_seconds
        self._left_alone_seconds = left_alone_seconds
        self._limited_until = 0.0
        self._threads = ThreadPoolExecutor(threads, "yahoo")
        self._opening = threading.Lock()
        self._site: YahooSite | None = None

    async def get(self, path: str, parameters: Mapping[str, str]) -> HttpAnswer:
        """Make a call.

        Cancelling it ends it at once. Its thread ends with the answer or the timeout: nothing can stop
        a request of another thread. Until then it counts among the calls at once.

        Parameters
        ----------
        path : str
            Behind the host, with quoted parts.
        parameters : mapping of str to str
            Of the query.

        Returns
        -------
        HttpAnswer
            Whatever the status, but for 401 and 403; 429 without asking while Yahoo is left alone.

        Raises
        ------
        ProviderUnavailableError
            There is no answer, or Yahoo lets nobody in from here.
        ProviderAnswerError
            yfinance does not understand what it is shown on the way.
        """
        asked_us = self._clock.now_us()
        loop = asyncio.get_running_loop()
        if loop.time() < self._limited_until:
            return self._limited(asked_us, loop.time())
        answer = await loop.run_in_executor(self._threads, self._ask, path, dict(parameters))
        if answer.status in _REFUSED:
            raise ProviderUnavailableError(
                f"Yahoo lets nobody in from here (HTTP {answer.status}): it does that to addresses that"
                " asked too much, and to data centres; wait some hours, or use another provider"
            )
        if answer.status == _LIMITED:
            self._limited_until = loop.time() + self._left_alone_seconds
            return self._limited(asked_us, loop.time())
        return HttpAnswer(answer.status, {}, answer.body, asked_us)

    def _limited(self, asked_us: int, now: float) -> HttpAnswer:
        seconds = math.ceil(self._limited_until - now)
        return HttpAnswer(_LIMITED, {"retry-after": str(seconds)}, b"", asked_us)

    async def aclose(self) -> None:
        """Close connections, once the threads have ended."""
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        if self._site is not None:
            self._site.close()

    def _ask(self, path: str, parameters: dict[str, str]) -> "SiteAnswer":
        return self._opened().get(path, parameters)

    def _opened(self) -> "YahooSite":
        with self._opening:
            if self._site is None:
                from marketdata.providers.yahoo.session import YahooSite  # noqa: PLC0415 -- a second

                self._site = YahooSite(self._session, timeout_seconds=self._timeout_seconds)
            return self._site
