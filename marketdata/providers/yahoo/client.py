"""Calls of Yahoo's site in threads: yfinance blocks, and the event loop must not."""

import asyncio
import math
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from marketdata.clock import Clock
from marketdata.errors import ProviderUnavailableError
from marketdata.providers.http.answer import HttpAnswer

if TYPE_CHECKING:
    from marketdata.providers.yahoo.session import SiteAnswer, YahooSite
    from marketdata.providers.yahoo.transport import YahooTransport

# Sixty years of days take Yahoo two seconds. A cancelled call's thread is busy for as long.
_TIMEOUT_SECONDS: Final = 20.0
_REFUSED: Final = frozenset({401, 403})
_LIMITED: Final = 429
# Yahoo hardly ever says when it answers again, and asking meanwhile makes it longer.
_LEFT_ALONE_SECONDS: Final = 900.0
# Whatever it says, so that one header does not cost a process the provider for good.
_LONGEST_SECONDS: Final = 86_400.0


class YahooClient:
    """Makes one call at a time in each of its threads.

    Parameters
    ----------
    clock : Clock
        Tells when a call was made.
    threads : int
        Most calls at once; each thread keeps a connection.
    transport : YahooTransport, optional
        See `YahooSite`.
    timeout_seconds : float
        For each request to the site. A call makes one, the first one three, and another four where
        Yahoo wants another cookie.
    left_alone_seconds : float
        For how long Yahoo is not asked once it has refused twice for too many calls, unless it says.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        threads: int,
        transport: "YahooTransport | None" = None,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        left_alone_seconds: float = _LEFT_ALONE_SECONDS,
    ) -> None:
        self._clock = clock
        self._transport = transport
        self._timeout_seconds = timeout_seconds
        self._left_alone_seconds = left_alone_seconds
        self._limited_until = 0.0
        self._was_limited = False
        self._threads = ThreadPoolExecutor(threads, "yahoo")
        self._opening = threading.Lock()
        self._site: YahooSite | None = None

    async def get(self, path: str, parameters: Mapping[str, str]) -> HttpAnswer:
        """Make a call.

        Cancelling it ends it at once. Its thread ends with the next bytes of the answer, or with the
        timeout where there are none; until then it counts among the calls at once.

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
        stop = threading.Event()
        try:
            answer = await loop.run_in_executor(self._threads, self._ask, path, dict(parameters), stop)
        finally:
            stop.set()
        if answer.status in _REFUSED:
            raise ProviderUnavailableError(
                f"Yahoo lets nobody in from here (HTTP {answer.status}): it does that to addresses that"
                " asked too much, and to data centres; wait some hours, or use another provider"
            )
        told = HttpAnswer(answer.status, answer.headers, answer.body, asked_us)
        if answer.status == _LIMITED:
            return self._note_limit(told, loop.time())
        self._was_limited = False
        return told

    def _note_limit(self, told: HttpAnswer, now: float) -> HttpAnswer:
        seconds = told.retry_after_seconds()
        if seconds is None:
            # One can be chance, and is asked for again.
            self._was_limited, is_again = True, self._was_limited
            if not is_again:
                return told
            seconds = self._left_alone_seconds
        self._limited_until = now + min(seconds, _LONGEST_SECONDS)
        return self._limited(told.asked_us, now)

    def _limited(self, asked_us: int, now: float) -> HttpAnswer:
        seconds = math.ceil(self._limited_until - now)
        return HttpAnswer(_LIMITED, {"retry-after": str(seconds)}, b"", asked_us)

    async def aclose(self) -> None:
        """Close connections, once the threads have ended."""
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        if self._site is not None:
            self._site.close()

    def _ask(self, path: str, parameters: dict[str, str], stop: threading.Event) -> "SiteAnswer":
        return self._opened().get(path, parameters, stop)

    def _opened(self) -> "YahooSite":
        with self._opening:
            if self._site is None:
                from marketdata.providers.yahoo.session import YahooSite  # noqa: PLC0415 -- a second

                self._site = YahooSite(self._transport, timeout_seconds=self._timeout_seconds)
            return self._site
