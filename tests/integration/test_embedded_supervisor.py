"""The supervisor: a PostgreSQL that dies under a running service comes back."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from marketdata.storage.embedded import (
    EmbeddedPostgres,
    ServerAddress,
    supervise,
)
from marketdata.storage.embedded import supervisor as supervisor_module
from tests.support.embedded import (
    copied,
    kill,
    made_folder,
    query,
    wait_until,
)


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """Make one data folder for the copies of all tests."""
    with made_folder() as folder:
        yield folder


@pytest.fixture
def folder(made: Path) -> Iterator[Path]:
    """Give a data folder with the database of a stopped server."""
    with copied(made) as folder:
        yield folder


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """Give a server that runs on `folder` and is stopped at the end."""
    server = EmbeddedPostgres(folder)
    server.start()
    yield server
    server.stop()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        await asyncio.to_thread(wait_until, condition)


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_supervise_given_a_death_starts_the_server_again(server: EmbeddedPostgres) -> None:
    """The supervisor brings a killed server back, tells it, and ends when cancelled."""
    restarted: list[ServerAddress] = []

    async def on_restart(address: ServerAddress) -> None:
        restarted.append(address)
        raise RuntimeError("a defect here must not end the supervision")

    task = asyncio.create_task(supervise(server, on_restart=on_restart, interval_seconds=0.02))
    for deaths in (1, 2):
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await _until(lambda deaths=deaths: len(restarted) == deaths)  # type: ignore[misc]
    assert restarted == [server.address] * 2
    await _cancel(task)
    assert query(server.address, "SELECT 1") == [(1,)]


async def test_supervise_given_a_restart_that_fails_tries_again(
    server: EmbeddedPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    """What stops a restart may go away; a missing database is never replaced by an empty one."""
    kill(server)
    pgdata, aside = server.folder / "pg", server.folder / "aside"
    pgdata.rename(aside)
    with caplog.at_level(logging.ERROR):
        task = asyncio.create_task(supervise(server, interval_seconds=0.02))
        await _until(lambda: "embedded_postgres_restart_failed" in caplog.text)
    assert not pgdata.exists()
    aside.rename(pgdata)
    await _until(server.is_alive)
    await _cancel(task)


async def test_supervise_given_a_stopped_server_ends(server: EmbeddedPostgres) -> None:
    """A server that was stopped on purpose is not started again."""
    task = asyncio.create_task(supervise(server, interval_seconds=0.02))
    await asyncio.to_thread(server.stop)
    async with asyncio.timeout(10):
        await task
    assert not server.is_alive()


async def test_supervise_given_a_defect_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a failing trim nor an unforeseen failure of a restart ends the supervision."""
    monkeypatch.setattr(supervisor_module, "_TRIM_SECONDS", 0.0)
    monkeypatch.setattr(supervisor_module, "_FIRST_BACKOFF_SECONDS", 0.01)

    class DefectiveServer(EmbeddedPostgres):
        restarts = 0

        def trim_log(self) -> None:
            raise PermissionError("no rights")

        def restart_if_dead(self) -> ServerAddress | None:
            self.restarts += 1
            if self.restarts == 1:
                raise RuntimeError("unforeseen")
            return super().restart_if_dead()

    server = DefectiveServer(folder)
    server.start()
    with caplog.at_level(logging.WARNING):
        task = asyncio.create_task(supervise(server, interval_seconds=0.02))
        await _until(lambda: "embedded_postgres_trim_failed" in caplog.text)
        await asyncio.to_thread(kill, server)
        await _until(server.is_alive)
    assert "unforeseen" in caplog.text
    await _cancel(task)
    server.stop()
