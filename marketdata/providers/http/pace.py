"""How fast one key may ask: calls a minute and calls at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiolimiter import AsyncLimiter

from marketdata.providers.protocol import Limits, Waits

_SECONDS_PER_MINUTE: Final = 60.0
# A tenth may go at once, so that a person's few calls need not wait for each other.
_BURST_PART: Final = 10


class Pace:
    """Lets calls of one key through as its limits allow.

    A bucket that is refilled at the full rate would let through its content and the refill within the
    first minute, twice the limit. So the burst and the refill of a minute are together the limit:
    whichever minute the provider counts, there are no more.

    Parameters
    ----------
    provider : str
        Its name.
    limits : Limits
        Of the key.
    waits : Waits
        Is told when a call waits.
    minute_seconds : float
        How long a minute is; tests have shorter ones.
    """

    def __init__(
        self,
        provider: str,
        limits: Limits,
        waits: Waits,
        minute_seconds: float = _SECONDS_PER_MINUTE,
    ) -> None:
        self._provider = provider
        self._waits = waits
        self._at_once = asyncio.Semaphore(limits.calls_at_once)
        self._limiter: AsyncLimiter | None = None
        self._waiting = 0
        if limits.calls_a_minute is not None:
            burst = max(1, limits.calls_a_minute // _BURST_PART)
            refill = max(1, limits.calls_a_minute - burst)
            self._limiter = AsyncLimiter(burst, minute_seconds * burst / refill)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a call's turn, and hold it until the call has ended."""
        async with self._at_once:
            await self._wait()
            yield

    async def _wait(self) -> None:
        if self._limiter is None:
            return
        self._waiting += 1
        try:
            if not self._limiter.has_capacity():
                # At most: those before it, one refilled call each.
                a_call = self._limiter.time_period / self._limiter.max_rate
                self._waits.add(self._provider, "rate_limit", self._waiting * a_call)
            await self._limiter.acquire()
        finally:
            self._waiting -= 1
