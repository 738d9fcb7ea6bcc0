"""A circuit breaker: a provider that failed again and again is left alone for a while.

Own code, for want of a library that fits: aiobreaker and pybreaker have no asyncio side that is kept,
circuitbreaker keeps its circuits in a registry of the module, and purgatory counts every exception as a
failure (a cancelled call, an unknown symbol) and does not tell for how long it stays open, which runs
and people want to know.
"""

import asyncio
from typing import Final

from marketdata.errors import ProviderUnavailableError

# Two calls with all their retries: one call can fail by what it asks for.
_FAILURES: Final = 8
# Long enough to be worth it, short enough that a run that waits still gets its bars.
OPEN_SECONDS: Final = 30.0


class Breaker:
    """Opens after failures in a row; then lets one call try, now and then.

    Parameters
    ----------
    provider : str
        For messages.
    failures : int
        How many in a row open it.
    open_seconds : float
        How long it stays open before a call may try.
    """

    def __init__(
        self, provider: str, failures: int = _FAILURES, open_seconds: float = OPEN_SECONDS
    ) -> None:
        self._provider = provider
        self._most = failures
        self._open_seconds = open_seconds
        self._failures = 0
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are refused now."""
        now = asyncio.get_running_loop().time()
        return self._failures >= self._most and now < self._open_until

    def check(self) -> None:
        """Pass, or refuse a call that would be in vain.

        Raises
        ------
        ProviderUnavailableError
            It is open; says for how long.
        """
        now = asyncio.get_running_loop().time()
        if self.is_open:
            raise ProviderUnavailableError(
                f"{self._provider} failed {self._failures} times in a row and is left alone for"
                f" {self._open_until - now:.0f} seconds; see its status page if this goes on",
                retry_after_seconds=self._open_until - now,
            )
        if self._failures >= self._most:
            # This call tries; until it has ended the others stay refused.
            self._open_until = now + self._open_seconds

    def note_failure(self) -> None:
        """Count a call that the provider did not answer."""
        self._failures += 1
        if self._failures >= self._most:
            self._open_until = asyncio.get_running_loop().time() + self._open_seconds

    def note_answer(self) -> None:
        """Note that the provider answers, whatever it says."""
        self._failures = 0
