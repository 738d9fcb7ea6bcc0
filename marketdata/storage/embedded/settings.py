"""How the embedded PostgreSQL is set, and its command line."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from marketdata.errors import DatabaseSetupError
from marketdata.storage.embedded.address import LOOPBACK

# An acknowledged write is on disk. These are not tuning and cannot be overridden.
DURABLE: Mapping[str, str] = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
}

# The launcher depends on these.
_OWN: Mapping[str, str] = {
    # It reads the log to say why a start failed, and bounds its size; a collector would divert it.
    "log_destination": "stderr",
    "logging_collector": "off",
    "password_encryption": "scram-sha-256",
}

_TUNED: Mapping[str, str] = {
    # The service's pools (30 + bulk readers + writers) for a few worker processes, and commands
    # beside them; an idle slot costs a few KB.
    "max_connections": "150",
    # A read over many partitions locks each one and its index: 2,500 partitions in one statement
    # overrun the default of 64 x connections ("out of shared memory"). The table of 1024 x 150
    # locks reserves about 70 MB of shared memory, most of it touched only when used.
    "max_locks_per_transaction": "1024",
    # Twice the default: the index pages that a load keeps touching (about 80 MB for a day of minute
    # bars of 5,000 symbols) stay in memory beside what is read. More would not fit the small
    # machines that embedded mode is for; the system's file cache does the rest.
    "shared_buffers": "256MB",
    # Bars are UTC everywhere; a session that prints a time must not depend on the machine's zone.
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Plans over many partitions pass jit_above_cost by estimate alone, and compiling them takes
    # longer than running them. The wheel has no JIT; an operator's PostgreSQL may.
    "jit": "off",
    # Off, the default: the method that every build has (pglz) costs CPU in the commit path, and
    # bars are mostly appended to fresh pages, which have few full-page images to compress.
    "wal_compression": "off",
}

# Where the PostgreSQL that is run has TimescaleDB.
TIMESCALE: Mapping[str, str] = {
    "shared_preload_libraries": "timescaledb",
    # What runs on a desk tells nobody about it.
    "timescaledb.telemetry_level": "off",
}

_REFUSED = frozenset(
    {
        *DURABLE,
        *_OWN,
        "cluster_name",
        "config_file",
        "data_directory",
        "external_pid_file",
        "hba_file",
        "listen_addresses",
        "port",
        "unix_socket_directories",
    }
)


def check_extra_settings(extra: Mapping[str, str]) -> None:
    """Refuse settings that durability or the launcher depend on.

    Raises
    ------
    DatabaseSetupError
        Names every one of them.
    """
    refused = sorted(name for name in extra if name.lower() in _REFUSED)
    if refused:
        message = (
            f"These settings of the embedded PostgreSQL are fixed: {', '.join(refused)}. "
            f"Remove them, or run an own server and set DB_HOST."
        )
        raise DatabaseSetupError(message)


def cluster_name(pgdata: Path) -> str:
    """Return the name that PostgreSQL puts into the process titles of one database folder.

    Titles are what every account may read of a process, in every container; they are how processes
    that outlived their postmaster are told from those of other folders.
    """
    digest = hashlib.sha256(bytes(pgdata)).hexdigest()
    return f"bifrost-marketdata-{digest[:12]}"


def server_arguments(
    program: Path, pgdata: Path, port: int, extra: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the whole command line of a server.

    Every process of the machine can read it: it holds no secret, nor may `extra`. Settings given
    here win over postgresql.conf and ALTER SYSTEM.
    """
    settings = {**_TUNED, **extra, **_OWN, **DURABLE, "cluster_name": cluster_name(pgdata)}
    own = ("-D", str(pgdata), "-p", str(port), "-h", LOOPBACK, "-k", "")
    given = (part for name, value in settings.items() for part in ("-c", f"{name}={value}"))
    return (str(program), *own, *given)
