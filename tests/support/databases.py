"""Real databases for tests: one server a storage mode, one migrated database a test.

Copying a migrated database takes some 30 ms, so every test can have its own and none has to clean
up. (In WebAssembly it takes most of a second, and the next copy is made while a test runs.) The
fixtures over it stand in ``tests/conftest.py``.
"""

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import psycopg
from psycopg import sql

from marketdata.storage.embedded import EmbeddedPostgres, ServerAddress
from marketdata.storage.migrate import migrate
from marketdata.storage.modes import StorageMode
from tests.support.embedded import reachable_folder


@contextmanager
def running_server(*, in_memory: bool = False) -> Iterator[EmbeddedPostgres]:
    """Run a PostgreSQL of its own on an empty folder; nothing of it is left at the end.

    Parameters
    ----------
    in_memory : bool
        Whether its folder may lie in memory, where no commit and no recovery waits for a busy disk.
    """
    with reachable_folder() if in_memory else _disk_folder() as base:
        server = EmbeddedPostgres(base / "data")
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def _disk_folder() -> Iterator[Path]:
    # Not tmp_path: its parents are closed to `nobody`, who runs PostgreSQL when root runs the tests.
    base = Path(tempfile.mkdtemp(prefix="marketdata_tests_", dir="/var/tmp"))
    base.chmod(0o755)
    try:
        yield base
    finally:
        shutil.rmtree(base)


class RunningServer(Protocol):
    """What the tests use of a server, whichever it is."""

    @property
    def address(self) -> ServerAddress | None:
        """Where it is reached, while it runs."""


class Databases:
    """Makes databases on a running server.

    Parameters
    ----------
    server : RunningServer
        Started, and the tests' own.
    mode : StorageMode
        What the schema is made for.
    """

    def __init__(self, server: RunningServer, mode: StorageMode = StorageMode.PLAIN) -> None:
        self._server = server
        self._mode = mode
        self._template: ServerAddress | None = None
        self._numbers = itertools.count(1)

    async def migrated(self) -> ServerAddress:
        """Make a database with the whole schema: a copy of one that was migrated once."""
        if self._template is None:
            template = self.empty()
            await migrate(template, self._mode)
            self._template = template
        return self._made(sql.SQL("TEMPLATE {}").format(sql.Identifier(self._template.database)))

    def empty(self) -> ServerAddress:
        """Make a database without any table."""
        return self._made(sql.SQL("TEMPLATE template0"))

    def drop(self, database: ServerAddress) -> None:
        """Drop a database; its sessions end."""
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)"), sql.Identifier(database.database))

    def _made(self, template: sql.Composable) -> ServerAddress:
        name = f"test_{next(self._numbers)}"
        self._execute(sql.SQL("CREATE DATABASE {} {}"), sql.Identifier(name), template)
        return replace(self._owned_address(), database=name)

    def _execute(self, statement: sql.SQL, *parts: sql.Composable) -> None:
        with connected(self._owned_address().for_maintenance()) as connection:
            connection.execute(statement.format(*parts))

    def _owned_address(self) -> ServerAddress:
        address = self._server.address
        assert address is not None, "the server is not started"
        return address


@contextmanager
def connected(address: ServerAddress) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """Connect beside the pools under test; every statement is a transaction of its own."""
    parameters = address.connection_parameters()
    with psycopg.connect(autocommit=True, **parameters) as connection:  # type: ignore[arg-type]
        yield connection
