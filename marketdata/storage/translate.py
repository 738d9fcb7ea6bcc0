"""psycopg's errors turned into the tree's: the only place that reads SQLSTATEs."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors as pg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from marketdata.errors import (
    DatabaseUnavailableError,
    QueryTimeoutError,
    ServiceError,
    StorageFullError,
    WriteConflictError,
)

log = logging.getLogger(__name__)

# An embedded server is back 0.2 s after a kill.
_RETRY_AFTER_SECONDS = 1.0

# Sent by the server while it starts, stops, recovers or ends our session.
_SERVER_GOING_AWAY = (
    pg.AdminShutdown,
    pg.CrashShutdown,
    pg.CannotConnectNow,
    pg.TooManyConnections,
    pg.IdleInTransactionSessionTimeout,
)
_NO_SPACE = (pg.DiskFull, pg.OutOfMemory)
# Two transactions in each other's way; a retry can succeed.
CONFLICTS = (pg.DeadlockDetected, pg.SerializationFailure, pg.LockNotAvailable)


@contextmanager
def translated() -> Iterator[None]:
    """Raise the tree's error for a psycopg error that has a meaning to callers.

    Raises
    ------
    DatabaseUnavailableError
        The server cannot be reached, is starting or stopping, or no connection became free.
    QueryTimeoutError
        The server cancelled a statement that took too long.
    WriteConflictError
        Concurrent writers collided more often than the service retries.
    StorageFullError
        The server has no space left.
    """
    try:
        yield
    except psycopg.Error as error:
        meaning = _meaning(error)
        if meaning is None:
            raise
        log.warning(
            "database_error",
            extra={"error": type(error).__name__, "sqlstate": error.sqlstate},
        )
        raise meaning from error


def _meaning(error: psycopg.Error) -> ServiceError | None:
    # The specific classes first: all of these are OperationalErrors.
    if isinstance(error, CONFLICTS):
        return WriteConflictError(
            "another writer kept the same rows locked; nothing was stored, send the call again",
            retry_after_seconds=_RETRY_AFTER_SECONDS,
        )
    if isinstance(error, pg.QueryCanceled):
        return QueryTimeoutError(
            "the database did not finish in time; ask for a shorter range or fewer symbols"
        )
    if isinstance(error, _NO_SPACE):
        return StorageFullError(
            "the database has no space left; nothing was stored, free space and send it again",
            retry_after_seconds=_RETRY_AFTER_SECONDS,
        )
    if isinstance(error, (PoolTimeout, PoolClosed, TooManyRequests, *_SERVER_GOING_AWAY)):
        return _unavailable()
    if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
        return _unavailable()  # libpq's own: the connection broke or cannot be made
    return None


def _unavailable() -> DatabaseUnavailableError:
    return DatabaseUnavailableError(
        "the database cannot be reached at the moment; what was not acknowledged was not stored",
        retry_after_seconds=_RETRY_AFTER_SECONDS,
    )
