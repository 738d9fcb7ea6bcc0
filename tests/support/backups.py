"""Backups as docs/storage.md has them: with the programs of the server's own PostgreSQL."""

import os
import subprocess
from pathlib import Path
from typing import Final

from marketdata.storage.embedded import ServerAddress
from marketdata.storage.embedded.account import current_account
from marketdata.storage.embedded.binaries import find_binaries
from marketdata.storage.embedded.folder import STATE_FOLDER
from marketdata.storage.modes import StorageMode
from tests.support.databases import connected
from tests.support.servers.apache import apache_programs
from tests.support.servers.provision import NotProvisionedError, skip_or_fail

_PROGRAM_SECONDS: Final = 60
# The engine's one session began before the database was told that it is being restored.
_ONE_SESSION: Final = "-c timescaledb.restoring=on"


def run_program(
    mode: StorageMode,
    program: str,
    address: ServerAddress,
    *arguments: str | Path,
    options: str = "",
) -> None:
    """Run a program on a database to its end; it fails where the program does.

    Parameters
    ----------
    options : str
        Of the program's session. Default: none.
    """
    binaries = find_binaries(_programs(mode), current_account(), STATE_FOLDER)
    done = subprocess.run(
        [binaries.program(program), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=_PROGRAM_SECONDS,
        env={
            "PATH": os.environ["PATH"],
            "PGHOST": address.host,
            "PGPORT": str(address.port),
            "PGUSER": address.user,
            "PGDATABASE": address.database,
            "PGPASSWORD": address.password,
            "PGOPTIONS": options,
        },
    )
    assert done.returncode == 0, done.stderr


def _programs(mode: StorageMode) -> Path | None:
    # The community edition comes without any; its major version is the apache edition's.
    if not mode.has_hypertables:
        return None
    try:
        return apache_programs()
    except NotProvisionedError as error:
        skip_or_fail(error)


def dump(mode: StorageMode, address: ServerAddress, file: Path) -> None:
    """Dump a database into a file."""
    run_program(mode, "pg_dump", address, "--format=custom", f"--file={file}")


def restore(mode: StorageMode, address: ServerAddress, file: Path) -> None:
    """Restore a file into an empty database."""
    options = _ONE_SESSION if mode is StorageMode.TIMESCALE else ""
    if mode.has_hypertables:
        with connected(address) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            connection.execute("SELECT timescaledb_pre_restore()")
    run_program(
        mode,
        "pg_restore",
        address,
        "--exit-on-error",
        f"--dbname={address.database}",
        file,
        options=options,
    )
    if mode.has_hypertables:
        with connected(address) as connection:
            connection.execute("SELECT timescaledb_post_restore()")
