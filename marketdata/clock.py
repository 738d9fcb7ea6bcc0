"""The injected clock: nothing else in the package asks the machine for the time of day."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time of day."""

    def now_us(self) -> int:
        """Microseconds since the Unix epoch, UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_us(self) -> int:
        """Microseconds since the Unix epoch, UTC."""
        return time.time_ns() // 1_000


class ManualClock:
    """A clock that stands still until it is moved: for tests and simulations.

    Parameters
    ----------
    now_us : int
        Where it starts, in microseconds since the Unix epoch.
    """

    def __init__(self, now_us: int) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        """Microseconds since the Unix epoch, UTC."""
        return self._now_us

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds`."""
        self._now_us += round(seconds * 1_000_000)
