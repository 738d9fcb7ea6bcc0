"""Servers that an operator gives to the service, and how it is told of them."""

from typing import Final

from marketdata.storage.embedded import ServerAddress
from tests.support.databases import connected

#: What settles the schema: a command, and the start of a service.
SETTLERS: Final = ("migrate", "serve")


def settings_of(address: ServerAddress) -> dict[str, str | int]:
    """Give the settings of a process that works on a given database, as its owner."""
    return {
        "DB_HOST": address.host,
        "DB_PORT": address.port,
        "DB_NAME": address.database,
        "DB_USERNAME": address.user,
        "DB_PASSWORD": address.password,
    }


def applied(address: ServerAddress) -> list[int]:
    """List the numbers of the migrations that a database has; none where there is no table of them."""
    with connected(address) as connection:
        found = connection.execute("SELECT to_regclass('schema_migration') IS NOT NULL").fetchone()
        if found != (True,):
            return []
        rows = connection.execute("SELECT number FROM schema_migration ORDER BY number")
        return [int(str(number)) for (number,) in rows.fetchall()]
