"""Where a running PostgreSQL is reached, with the passwords that it asks for."""

from dataclasses import dataclass, field, replace

from psycopg import pq

from marketdata.storage.address import SERVICE_ROLE

LOOPBACK = "127.0.0.1"
# The role that initdb makes, and the database that the service keeps its tables in.
SUPERUSER = "postgres"
MAINTENANCE_DATABASE = "postgres"
DATABASE = "marketdata"
# libpq knows require_auth from this version on; an older one refuses the whole connection string.
_LIBPQ_WITH_REQUIRE_AUTH = 160000


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """How to connect to a PostgreSQL.

    Attributes
    ----------
    host : str
        Numeric loopback address.
    port : int
        TCP port; it can change when the server is started again and another program took it.
    user, database : str
        Role and database.
    password : str
        The role's password; left out of ``repr`` so that a log line cannot hold it.
    service_password : str, optional
        The password of the service's own role; left out of ``repr`` as well.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    service_password: str = field(default="", repr=False)

    def for_service(self) -> "ServerAddress":
        """Return the same database for the service's own role, which owns nothing."""
        return replace(self, user=SERVICE_ROLE, password=self.service_password)

    def for_maintenance(self) -> "ServerAddress":
        """Return the same server with the database that always exists."""
        return replace(self, database=MAINTENANCE_DATABASE)

    def connection_parameters(self) -> dict[str, str | int]:
        """Keyword arguments for ``psycopg.connect`` or a pool's ``kwargs``; they hold the password.

        They name what libpq would otherwise take from ``PG*`` variables of the environment
        (PGHOSTADDR, PGSSLMODE): those are meant for other servers.
        """
        parameters: dict[str, str | int] = {
            "host": self.host,
            "hostaddr": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "dbname": self.database,
            "sslmode": "disable",
            "gssencmode": "disable",
        }
        if pq.version() >= _LIBPQ_WITH_REQUIRE_AUTH:
            # Another local program can listen on the port while PostgreSQL is down. SCRAM never
            # shows it the password; without this, libpq would send it in clear when asked to.
            parameters["require_auth"] = "scram-sha-256"
        return parameters
