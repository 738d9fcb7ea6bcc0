"""How many calls run at a time: streams and short calls apart, so that neither starves the other."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from marketdata.errors import ResourceExhaustedError
from marketdata.rpc.behaviour import Call, CallInterceptor, Context

# Health must answer while everything else is refused.
_ALWAYS_ADMITTED: Final = "/grpc.health.v1."
_RETRY_AFTER_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """Most calls at a time.

    Attributes
    ----------
    streams : int
        Calls that answer with a stream; each holds a database connection and a thread.
    calls : int
        All others.
    """

    streams: int = 40
    calls: int = 512


class AdmissionInterceptor(CallInterceptor):
    """Refuses calls beyond the limits at once, instead of letting them queue past their deadlines.

    Parameters
    ----------
    limits : AdmissionLimits
        Bounds of this process.
    """

    def __init__(self, limits: AdmissionLimits) -> None:
        self._limits = {True: limits.streams, False: limits.calls}
        self._running = {True: 0, False: 0}

    def around(self, call: Call, request: Any, context: Context) -> AbstractAsyncContextManager[Any]:  # noqa: ARG002
        """Count the call while it runs."""
        return self._admitted(call)

    @asynccontextmanager
    async def _admitted(self, call: Call) -> AsyncIterator[None]:
        if call.method.startswith(_ALWAYS_ADMITTED):
            yield
            return
        limit = self._limits[call.is_stream]
        if self._running[call.is_stream] >= limit:
            kind = "streams" if call.is_stream else "calls"
            raise ResourceExhaustedError(
                f"the server runs {limit} {kind} already; send it again in a second",
                metadata={"limit": str(limit)},
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            )
        self._running[call.is_stream] += 1
        try:
            yield
        finally:
            self._running[call.is_stream] -= 1
