"""Waiting for a condition, never for a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable

_INTERVAL_SECONDS = 0.01


async def until(
    condition: Callable[[], Awaitable[bool]],
    seconds: float = 20.0,
    every_seconds: float = _INTERVAL_SECONDS,
) -> None:
    """Wait until `condition` answers true; fail when it has not after `seconds`."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        await asyncio.sleep(every_seconds)
