"""grpc.health.v1 kept true: per service, for the whole (""), and for the database ("db")."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from grpc_health.v1 import health, health_pb2

from marketdata.errors import ServiceError

log = logging.getLogger(__name__)

DATABASE: Final = "db"
_PROBE_SECONDS: Final = 1.0
# Two probes' time: a database that hangs counts as down, as one that is gone does.
_PROBE_TIMEOUT_SECONDS: Final = 2.0


class Reporter(Protocol):
    """Is told how the database is."""

    def __call__(self, *, is_down: bool) -> None:
        """Take note."""
        ...


class HealthMonitor:
    """Probes the database and tells gRPC's health service.

    Parameters
    ----------
    probe : callable
        Asks the database; raises ServiceError where it does not answer.
    services : sequence of str
        Full names of the services that need the database.
    report : callable
        Told at every probe, as ``is_down``, whether the database is down.
    """

    def __init__(
        self,
        probe: Callable[[], Awaitable[None]],
        services: Sequence[str],
        report: Reporter,
    ) -> None:
        self.servicer = health.aio.HealthServicer()
        self._probe = probe
        self._names = ("", DATABASE, *services)
        self._report = report
        self._was_up: bool | None = None

    async def run(self) -> None:
        """Probe until cancelled."""
        while True:
            await self.check()
            await asyncio.sleep(_PROBE_SECONDS)

    async def check(self) -> bool:
        """Probe once; return whether the database answers."""
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_SECONDS):
                await self._probe()
            is_up = True
        except (ServiceError, TimeoutError):
            is_up = False
        except Exception:
            # An answer that nobody foresaw (a disk that fails) is none, and must not end the probing.
            log.exception("database_probe_failed")
            is_up = False
        self._report(is_down=not is_up)
        if is_up != self._was_up:
            log.log(logging.INFO if is_up else logging.ERROR, "database_health", extra={"up": is_up})
            self._was_up = is_up
        serving = health_pb2.HealthCheckResponse.ServingStatus.SERVING
        not_serving = health_pb2.HealthCheckResponse.ServingStatus.NOT_SERVING
        for name in self._names:
            await self.servicer.set(name, serving if is_up else not_serving)
        return is_up

    async def drain(self) -> None:
        """Tell load balancers to send nothing more; it cannot be taken back."""
        await self.servicer.enter_graceful_shutdown()
