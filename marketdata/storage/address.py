"""Where a database is reached, and as which of its two roles."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

#: The role that the service works as: it reads and writes rows, and owns nothing.
SERVICE_ROLE: Final = "market_data_service_user"


class Address(Protocol):
    """Says how to connect; an embedded server's has further parameters."""

    def connection_parameters(self) -> dict[str, str | int]:
        """Return libpq's parameters by name; they hold the password."""
        ...


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """The address of a server that somebody else runs; its text hides the password."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)

    def connection_parameters(self) -> dict[str, str | int]:
        """Return libpq's parameters by name; they hold the password."""
        return {
            "host": self.host,
            "port": self.port,
            "dbname": self.database,
            "user": self.user,
            "password": self.password,
        }


@dataclass(frozen=True, slots=True)
class DatabaseRoles:
    """One database, reached as either of its roles.

    Both are asked at every new connection, since an embedded server can come back on another port.

    Attributes
    ----------
    owner : callable returning Address
        For what changes the schema, and for upkeep that only an owner can do: on connections of its
        own, never in the service's pools.
    service : callable returning Address
        For everything else.
    """

    owner: Callable[[], Address]
    service: Callable[[], Address]
