"""Health follows the database, whatever a probe meets."""

import asyncio
from typing import Final

import pytest
from grpc_health.v1 import health_pb2

from marketdata.errors import DatabaseUnavailableError
from marketdata.rpc.health import HealthMonitor
from tests.support.waiting import until

SERVICE: Final = "bifrost.marketdata.v1.BarsService"
SERVING: Final = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


class Database:
    """A database as a probe sees it."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.hangs = False
        self.reported: list[bool] = []

    async def probe(self) -> None:
        """Answer, fail, or never answer."""
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure

    def report(self, *, is_down: bool) -> None:
        """Note what the monitor says."""
        self.reported.append(is_down)

    def monitor(self) -> HealthMonitor:
        """Make a monitor of this database."""
        return HealthMonitor(self.probe, [SERVICE], self.report)


async def statuses(monitor: HealthMonitor) -> set[int]:
    """Ask the health of everything; all of it needs the database."""
    requests = [health_pb2.HealthCheckRequest(service=name) for name in ("", "db", SERVICE)]
    return {(await monitor.servicer.Check(request, None)).status for request in requests}


@pytest.mark.parametrize(
    "failure", [DatabaseUnavailableError("down"), RuntimeError("nobody foresaw this"), OSError("disk")]
)
async def test_check_given_failure_says_down_and_then_up_again(failure: Exception) -> None:
    """Any failure of the probe is a database that is down; the next answer makes it serve again."""
    database = Database()
    monitor = database.monitor()
    assert await monitor.check()
    assert await statuses(monitor) == {SERVING}
    database.failure = failure
    assert not await monitor.check()
    assert await statuses(monitor) == {NOT_SERVING}
    database.failure = None
    assert await monitor.check()
    assert await statuses(monitor) == {SERVING}
    assert database.reported == [False, True, False]


async def test_check_given_database_that_hangs_says_down() -> None:
    """A database that does not answer is down: the probe has a deadline."""
    database = Database()
    database.hangs = True
    monitor = database.monitor()
    async with asyncio.timeout(20):
        assert not await monitor.check()
    assert await statuses(monitor) == {NOT_SERVING}


async def test_run_given_failure_nobody_foresaw_goes_on_probing() -> None:
    """No failure ends the probing: health would stand still for as long as the service runs."""
    database = Database()
    database.failure = RuntimeError("nobody foresaw this")
    probing = asyncio.create_task(database.monitor().run())

    async def probed_twice() -> bool:
        return len(database.reported) > 1

    await until(probed_twice)
    assert not probing.done()
    probing.cancel()
