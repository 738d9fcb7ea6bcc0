"""Making the database folder with initdb: complete, or not there at all."""

import logging
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from marketdata.errors import DatabaseSetupError
from marketdata.storage.embedded.account import Account
from marketdata.storage.embedded.address import SUPERUSER
from marketdata.storage.embedded.binaries import Binaries
from marketdata.storage.embedded.files import sync_folder
from marketdata.storage.embedded.folder import DataFolder

_LOG = logging.getLogger(__name__)
_STAGING_PREFIX = "initdb_"
# Takes half a second; a minute is a very slow network disk.
_INITDB_SECONDS = 300.0
# C.UTF-8 knows letters beyond ASCII, and is missing on some systems; C is everywhere.
_LOCALES = ("C.UTF-8", "C")


def initialise(folder: DataFolder, binaries: Binaries, account: Account, password: str) -> None:
    """Make the database in `folder`.

    It is made in a folder beside its final one and renamed when complete and on disk, so a killed
    initdb leaves nothing that looks like a database. Call it only as the owner of the folder.

    Raises
    ------
    DatabaseSetupError
        When initdb fails, or something else lies where the database belongs.
    """
    for leftover in folder.path.glob(f"{_STAGING_PREFIX}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if folder.pgdata.exists() and any(folder.pgdata.iterdir()):
        message = (
            f"{folder.pgdata} is not empty and has no PG_VERSION, so it is no database, or a "
            f"damaged one. Restore it from a backup, or move it away to start with an empty one."
        )
        raise DatabaseSetupError(message)
    if not account.is_known:
        message = (
            f"PostgreSQL's initdb needs an account with a name, and user id {account.uid} has none on "
            f"this machine. Run the service as an account of /etc/passwd; in a container, as 'nobody' "
            f"or as root."
        )
        raise DatabaseSetupError(message)
    staging = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=folder.path))
    try:
        made = _run_initdb(staging, binaries, account, password)
        made.rename(folder.pgdata)
        sync_folder(folder.path)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    _LOG.info("embedded_postgres_initialised version=%s folder=%s", binaries.version, folder.path)


def _run_initdb(staging: Path, binaries: Binaries, account: Account, password: str) -> Path:
    password_file = staging / "password"
    descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(password)
    os.chown(password_file, account.uid, account.gid)
    os.chown(staging, account.uid, account.gid)
    output = ""
    for locale in _LOCALES:
        target = staging / f"pg_{locale}"
        arguments = _initdb_arguments(binaries, target, password_file, locale)
        try:
            result = account.run(arguments, timeout_seconds=_INITDB_SECONDS)
        except subprocess.TimeoutExpired:
            output = f"initdb was stopped after {_INITDB_SECONDS:g} s"
            break
        if result.returncode == 0:
            return target
        output = (result.stderr or result.stdout).strip()
        if "locale" not in output:
            break
    message = (
        f"PostgreSQL's initdb could not make a database in {staging.parent}. Correct what it says "
        f"and start again; nothing was left behind.\n{output.replace(password, '***')}"
    )
    raise DatabaseSetupError(message)


def _initdb_arguments(
    binaries: Binaries, target: Path, password_file: Path, locale: str
) -> list[str | Path]:
    return [
        binaries.program("initdb"),
        "--pgdata",
        target,
        "--username",
        SUPERUSER,
        "--auth",
        "scram-sha-256",
        "--pwfile",
        password_file,
        "--encoding",
        "UTF8",
        f"--locale={locale}",
        # Text sorts by bytes in both locales; only under the name C PostgreSQL knows that and
        # compares without calling the C library. Every index on a symbol gains.
        "--lc-collate=C",
        # A damaged page is an error, not a wrong bar. The default from 18 on.
        "--data-checksums",
    ]
