"""Keeping the embedded PostgreSQL running for as long as the service does."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from marketdata.errors import SetupError
from marketdata.storage.embedded.address import ServerAddress
from marketdata.storage.embedded.server import EmbeddedPostgres

_LOG = logging.getLogger(__name__)
# A death is noticed within this; looking costs some microseconds.
_INTERVAL_SECONDS = 0.2
# The first restart is immediate. One that dies again soon waits, doubling up to the last, so that a
# full disk does not become a busy loop, and is still retried soon after the operator has made room.
_FIRST_BACKOFF_SECONDS = 0.5
_LAST_BACKOFF_SECONDS = 15.0
# A server that lived for this long is no part of a series of failures.
_STABLE_SECONDS = 60.0
_TRIM_SECONDS = 60.0


async def supervise(
    server: EmbeddedPostgres,
    *,
    on_restart: Callable[[ServerAddress], Awaitable[None]] | None = None,
    interval_seconds: float = _INTERVAL_SECONDS,
) -> None:
    """Start `server`'s PostgreSQL again whenever it dies, until cancelled or `server` is stopped.

    A restart that fails is logged and tried again with growing pauses, for as long as it takes.
    Cancelling returns at once; a restart in progress goes on in its thread, and `server.stop()`
    cuts it short.

    Parameters
    ----------
    server : EmbeddedPostgres
        Started.
    on_restart : async callable, optional
        Awaited after each restart with the address, whose port may be another one.
    interval_seconds : float, optional
        How often to look.
    """
    failures = 0
    alive_since = trimmed_at = time.monotonic()
    while True:
        await asyncio.sleep(interval_seconds)
        if not server.is_owned:
            return
        if server.is_alive():
            now = time.monotonic()
            if now - alive_since >= _STABLE_SECONDS:
                failures = 0
            if now - trimmed_at >= _TRIM_SECONDS:
                trimmed_at = now
                await _trim(server)
            continue
        _LOG.error("embedded_postgres_died pid=%s failures=%d", server.pid, failures)
        if failures:
            await asyncio.sleep(_backoff_seconds(failures))
        failures += 1
        await _restart(server, on_restart)
        alive_since = time.monotonic()


def _backoff_seconds(failures: int) -> float:
    # The exponent is bounded too: a float overflows after a thousand doublings.
    return min(_LAST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2.0 ** min(failures - 1, 10))


async def _restart(
    server: EmbeddedPostgres, on_restart: Callable[[ServerAddress], Awaitable[None]] | None
) -> None:
    try:
        address = await asyncio.to_thread(server.restart_if_dead)
    except SetupError as error:
        # Without a traceback: the message says all, and every attempt repeats it.
        _LOG.error("embedded_postgres_restart_failed error=%s", error)
        return
    except Exception:  # noqa: BLE001
        # A defect, not a state of the machine: the next attempt may still succeed.
        _LOG.exception("embedded_postgres_restart_failed")
        return
    if address is None:
        return
    _LOG.warning("embedded_postgres_restarted pid=%s port=%d", server.pid, address.port)
    if on_restart is None:
        return
    try:
        await on_restart(address)
    except Exception:  # noqa: BLE001
        # A defect of the caller must not end the supervision.
        _LOG.exception("embedded_postgres_on_restart_failed")


async def _trim(server: EmbeddedPostgres) -> None:
    try:
        await asyncio.to_thread(server.trim_log)
    except OSError as error:
        _LOG.warning("embedded_postgres_trim_failed error=%s", error)
