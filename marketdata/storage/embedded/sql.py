"""What the launcher asks of a server over SQL: the only psycopg calls of this package."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg import sql

from marketdata.errors import DatabaseSetupError
from marketdata.storage.embedded.address import ServerAddress
from marketdata.storage.embedded.settings import DURABLE
from marketdata.storage.roles import POWERLESS

_LOG = logging.getLogger(__name__)
# A server that says that it is ready answers in milliseconds; a stopped process never does.
_CONNECT_SECONDS = 10
# CREATE DATABASE writes some 8 MB and waits for the disk.
_STATEMENT_OPTIONS = "-c statement_timeout=60s"


def serves(address: ServerAddress, pgdata: Path) -> bool:
    """Prove that the server at `address` takes the password and works on `pgdata`.

    SCRAM proves it in both directions: a server that does not know the password fails as well.
    Any failure is False; the reason is in the log.
    """
    try:
        with _connection(address) as connection:
            row = connection.execute("SELECT current_setting('data_directory')").fetchone()
    except psycopg.Error as error:
        _LOG.warning("embedded_postgres_probe_failed port=%d error=%s", address.port, error)
        return False
    return row is not None and Path(str(row[0])).resolve() == pgdata


def prepare_database(address: ServerAddress) -> None:
    """Create the service's database and role where they are missing; check that writes are durable.

    Raises
    ------
    DatabaseSetupError
        When the server does not do as asked, or something in the database switches durability off.
    """
    try:
        with _connection(address.for_maintenance()) as connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(query, (address.database,)).fetchone() is None:
                name = sql.Identifier(address.database)
                connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
            _prepare_service_role(connection, address.for_service())
        found = _read_durability(address)
    except psycopg.Error as error:
        _LOG.exception("embedded_postgres_prepare_failed port=%d", address.port)
        message = (
            f"PostgreSQL runs on port {address.port}, but its database '{address.database}' could "
            f"not be prepared ({type(error).__name__}); the log has the details."
        )
        raise DatabaseSetupError(message) from error
    if found != DURABLE:
        wrong = ", ".join(f"{name}={found.get(name)}" for name in DURABLE)
        message = (
            f"An acknowledged write would not be safe with {wrong}. Remove the ALTER DATABASE or "
            f"ALTER ROLE ... SET that changes it."
        )
        raise DatabaseSetupError(message)


def _read_durability(address: ServerAddress) -> dict[str, str]:
    """Read the settings as the service's role, which is proven by it, and whose own ones count."""
    query = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)"
    try:
        with _connection(address.for_service()) as connection:
            return dict(connection.execute(query, (list(DURABLE),)).fetchall())
    except pg.UndefinedFile:
        # The operator named newer programs, whose TimescaleDB has no library of the version that the
        # database has. Nobody else could update it: this server runs for the service only.
        _update_extension(address)
    with _connection(address.for_service()) as connection:
        return dict(connection.execute(query, (list(DURABLE),)).fetchall())


def _update_extension(address: ServerAddress) -> None:
    # The first statement of its session: any other would load the library that is missing.
    with _connection(address) as connection:
        connection.execute("ALTER EXTENSION timescaledb UPDATE")
    _LOG.warning("embedded_postgres_extension_updated extension=timescaledb")


def _prepare_service_role(
    connection: "psycopg.Connection[tuple[Any, ...]]", service: ServerAddress
) -> None:
    role = sql.Identifier(service.user)
    query = "SELECT 1 FROM pg_roles WHERE rolname = %s"
    if connection.execute(query, (service.user,)).fetchone() is None:
        connection.execute(sql.SQL("CREATE ROLE {}").format(role))
    # Every time: the file that holds the password can have been lost, and made anew. The server gets
    # its verifier only, since failed and slow statements are logged.
    verifier = connection.pgconn.encrypt_password(
        service.password.encode(), service.user.encode(), b"scram-sha-256"
    )
    alter = sql.SQL("ALTER ROLE {} LOGIN {} PASSWORD {}")
    connection.execute(alter.format(role, POWERLESS, sql.Literal(verifier.decode())))


@contextmanager
def _connection(address: ServerAddress) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    parameters = address.connection_parameters()
    with psycopg.connect(
        autocommit=True,
        connect_timeout=_CONNECT_SECONDS,
        options=_STATEMENT_OPTIONS,
        application_name="marketdata launcher",
        **parameters,  # type: ignore[arg-type]
    ) as connection:
        yield connection
