"""Where a database is reached."""

from dataclasses import dataclass, field
from typing import Protocol


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
