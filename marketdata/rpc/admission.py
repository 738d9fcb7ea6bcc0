"""Which calls run: bounded in number while serving, ended in order while draining.

Streams, subscriptions and short calls have limits of their own, so that none starves another. What is
beyond a limit is refused at once, instead of queueing past its deadline.
"""

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from marketdata.errors import ResourceExhaustedError, ServerDrainingError
from marketdata.rpc.behaviour import Behaviour, CallInterceptor, Context, Method

# Health must answer while everything else is refused.
_ALWAYS_ADMITTED: Final = "/grpc.health.v1."
_RETRY_AFTER_SECONDS: Final = 1.0


class _Class(Enum):
    """What calls are counted with; the value names them in errors."""

    STREAM = "streams"
    SUBSCRIPTION = "subscriptions"
    CALL = "calls"


# Streams that hold neither a database connection nor a thread, and may go on for hours: they are not
# waited for when the server stops.
_WATCHES: Final = {
    "/bifrost.marketdata.v1.IngestionService/WatchIngestionRun": _Class.CALL,
    "/bifrost.marketdata.v1.BarsService/SubscribeBars": _Class.SUBSCRIPTION,
}


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """Most calls at a time.

    Attributes
    ----------
    streams : int
        Calls that answer with a stream; each holds a database connection and a thread.
    subscriptions : int
        Calls that tell of changes until somebody ends them.
    calls : int
        All others.
    """

    streams: int = 40
    subscriptions: int = 1_000
    calls: int = 512


class AdmissionInterceptor(CallInterceptor):
    """Admits calls, knows the running ones, and ends them when the server drains.

    Parameters
    ----------
    limits : AdmissionLimits
        Bounds of this process.
    """

    def __init__(self, limits: AdmissionLimits) -> None:
        self._limits = {
            _Class.STREAM: limits.streams,
            _Class.SUBSCRIPTION: limits.subscriptions,
            _Class.CALL: limits.calls,
        }
        self._running = dict.fromkeys(_Class, 0)
        self._admitted_tasks: set[asyncio.Task[Any]] = set()
        self._watch_tasks: set[asyncio.Task[Any]] = set()
        self._is_draining = False

    def wrap(self, method: Method, inner: Behaviour) -> Behaviour:
        """Count the calls while they run."""
        if method.name.startswith(_ALWAYS_ADMITTED):
            return self._watched(inner)
        of = _WATCHES.get(method.name, _Class.STREAM if method.is_stream else _Class.CALL)
        tasks = self._watch_tasks if method.name in _WATCHES else self._admitted_tasks

        async def admitted(request: Any, context: Context) -> Any:
            self._check(of)
            task = _current_task()
            self._running[of] += 1
            tasks.add(task)
            try:
                return await inner(request, context)
            finally:
                tasks.discard(task)
                self._running[of] -= 1

        return admitted

    async def drain(self, seconds: float) -> None:
        """Refuse new calls, give running ones `seconds` to end, and end those that have not.

        A call that is ended gets UNAVAILABLE from the error interceptor, which stands outside.
        """
        self._is_draining = True
        if self._admitted_tasks:
            await asyncio.wait(self._admitted_tasks, timeout=seconds)
        # Watches do not end by themselves, and were not waited for.
        for task in self._admitted_tasks | self._watch_tasks:
            task.cancel()

    def _watched(self, inner: Behaviour) -> Behaviour:
        async def watched(request: Any, context: Context) -> Any:
            task = _current_task()
            self._watch_tasks.add(task)
            try:
                return await inner(request, context)
            finally:
                self._watch_tasks.discard(task)

        return watched

    def _check(self, of: _Class) -> None:
        if self._is_draining:
            raise ServerDrainingError(
                "the server is stopping; send the call again, to another one or in a moment",
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            )
        limit = self._limits[of]
        if self._running[of] >= limit:
            raise ResourceExhaustedError(
                f"the server runs {limit} {of.value} already; send it again in a second",
                metadata={"limit": str(limit)},
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            )


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a call runs outside of a task")
    return task
