"""psycopg's errors turned into the tree's: the only place that reads SQLSTATEs."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

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
# Two transactions in each other's way; a retry can succeed.
CONFLICTS = (pg.DeadlockDetected, pg.SerializationFailure, pg.LockNotAvailable)


@contextmanager
def translated() -> Iterator[None]:
    """Raise the tree's error for a psycopg error that has a meaning to callers.

    Raises
    ------
    DatabaseUnavailableError
        The server cannot be reached, is starting or stopping, lacks a library that the database
        needs, or no connection became free.
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
    for known, make in _MEANINGS.items():
        if isinstance(error, known):
            return make()
    if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
        return _unavailable()  # libpq's own: the connection broke or cannot be made
    return None


def _conflict() -> WriteConflictError:
    return WriteConflictError(
        "another session kept what the call needs locked; nothing was changed, send the call again",
        retry_after_seconds=_RETRY_AFTER_SECONDS,
    )


def _timeout() -> QueryTimeoutError:
    return QueryTimeoutError(
        "the database did not finish in time; ask for a shorter range or fewer symbols"
    )


def _full() -> StorageFullError:
    return StorageFullError(
        "the database has no space left; nothing was stored, free space and send it again",
        retry_after_seconds=_RETRY_AFTER_SECONDS,
    )


def _out_of_memory() -> DatabaseUnavailableError:
    # Also where the table of locks is full: a statement over thousands of partitions takes each.
    return DatabaseUnavailableError(
        "the database is out of memory or of locks; ask for a shorter range, or raise its "
        "max_locks_per_transaction",
        retry_after_seconds=_RETRY_AFTER_SECONDS,
    )


def _no_library() -> DatabaseUnavailableError:
    # After a package of the server was updated: its loader looks for the database's own version.
    return DatabaseUnavailableError(
        "the server has no library that the database needs; where TimescaleDB was updated on it, let "
        "an administrator run ALTER EXTENSION timescaledb UPDATE in this database, as the first "
        "statement of a session (psql -X)",
        retry_after_seconds=_RETRY_AFTER_SECONDS,
    )


def _unavailable() -> DatabaseUnavailableError:
    return DatabaseUnavailableError(
        "the database cannot be reached at the moment; what was not acknowledged was not stored",
        retry_after_seconds=_RETRY_AFTER_SECONDS,
    )


# All of these are OperationalErrors: only the specific classes tell them apart.
_MEANINGS: Final[Mapping[type[psycopg.Error], Callable[[], ServiceError]]] = {
    **dict.fromkeys(CONFLICTS, _conflict),
    pg.QueryCanceled: _timeout,
    pg.DiskFull: _full,
    pg.OutOfMemory: _out_of_memory,
    pg.UndefinedFile: _no_library,
    **dict.fromkeys((PoolTimeout, PoolClosed, TooManyRequests, *_SERVER_GOING_AWAY), _unavailable),
}
