"""The data folder: what lies where in it, who may enter it, and which version made it."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from marketdata.errors import DatabaseSetupError
from marketdata.storage.embedded.account import Account
from marketdata.storage.embedded.binaries import Binaries, find_old_binaries, major_of
from marketdata.storage.embedded.files import make_folders, write_private

# Where root keeps what PostgreSQL must reach: below /root, `nobody` could not enter.
STATE_FOLDER = Path("/var/lib/bifrost-marketdata")
_APPLICATION = "bifrost-marketdata"
# 256 bits: far beyond guessing, whatever an attacker on the loopback interface tries.
_PASSWORD_BYTES = 32
_LAST_PORT = 65535
_PRIVATE = 0o700
# Others may pass through to pg/, which is the account's own, but not list.
_PASSABLE = 0o711
_OPEN = 0o755


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths of one data folder, and the small files in it.

    Attributes
    ----------
    path : Path
        Absolute, without symbolic links; PostgreSQL shows it as part of its data_directory.
    """

    path: Path

    @property
    def pgdata(self) -> Path:
        """PostgreSQL's own folder; it exists only once it is a complete database."""
        return self.path / "pg"

    @property
    def lock_file(self) -> Path:
        """Locked by the one process that owns the folder."""
        return self.path / "owner.lock"

    @property
    def log_file(self) -> Path:
        """What PostgreSQL reports."""
        return self.path / "postgres.log"

    @property
    def password_file(self) -> Path:
        """The superuser's password."""
        return self.path / "password"

    @property
    def service_password_file(self) -> Path:
        """The password of the service's own role."""
        return self.path / "service_password"

    @property
    def port_file(self) -> Path:
        """The port of the last start, for the next one."""
        return self.path / "port"

    @property
    def is_initialised(self) -> bool:
        """Whether there is a database."""
        return (self.pgdata / "PG_VERSION").exists()

    def read_password(self) -> str | None:
        """Return the password; None before the first start."""
        return _read_secret(self.password_file)

    def read_service_password(self) -> str | None:
        """Return the password of the service's role; None before the first start."""
        return _read_secret(self.service_password_file)

    def ensure_password(self) -> str:
        """Return the password, made now when there is neither one nor a database that has one.

        Raises
        ------
        DatabaseSetupError
            When the database exists and its password is lost.
        """
        password = self.read_password()
        if password is not None:
            self.password_file.chmod(0o600)
            return password
        if self.is_initialised:
            message = (
                f"{self.password_file} is missing or empty; it holds the password of the database "
                f"beside it. Restore it from a backup. Without one, set a new password: as the "
                f"owner of {self.pgdata}, run 'postgres --single -D {self.pgdata} postgres', enter "
                f"ALTER ROLE postgres PASSWORD '...' and write the same into the file (mode 0600)."
            )
            raise DatabaseSetupError(message)
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        write_private(self.password_file, password)
        return password

    def ensure_service_password(self) -> str:
        """Return the password of the service's role, made where it is missing.

        A lost one may be made anew: at every start the owner sets it in the database.
        """
        password = self.read_service_password()
        if password is None:
            password = secrets.token_urlsafe(_PASSWORD_BYTES)
            write_private(self.service_password_file, password)
        self.service_password_file.chmod(0o600)
        return password

    def read_port(self) -> int | None:
        """Return the remembered port; None when there is none that can be used."""
        try:
            port = int(self.port_file.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None
        return port if 0 < port <= _LAST_PORT else None

    def remember_port(self, port: int) -> None:
        """Keep `port` for the next start."""
        if port != self.read_port():
            write_private(self.port_file, f"{port}\n")

    def create(self, account: Account) -> None:
        """Make the folder where it is missing, and check that `account` can work in it.

        Raises
        ------
        DatabaseSetupError
            When `account` cannot enter it, or its database belongs to another account.
        """
        existing = self.path
        while not existing.exists():
            existing = existing.parent
        # Checked before anything is made, so that a refused folder leaves nothing behind.
        self._check_reachable(existing, account)
        if account.is_switched:
            make_folders(self.path, leaf_mode=_PASSABLE, parent_mode=_OPEN)
        else:
            make_folders(self.path, leaf_mode=_PRIVATE, parent_mode=_PRIVATE)
        self._check_owner(account)

    def check_version(self, binaries: Binaries, state_folder: Path) -> None:
        """Refuse a database that `binaries` cannot read.

        Raises
        ------
        DatabaseSetupError
            When it was made by another major version; the message has both ways out.
        """
        made_by = major_of((self.pgdata / "PG_VERSION").read_text(encoding="ascii"))
        if made_by == binaries.major:
            return
        old = find_old_binaries(made_by, state_folder) or f"<bin folder of PostgreSQL {made_by}>"
        message = (
            f"The database in {self.path} was made by PostgreSQL {made_by}; the binaries in "
            f"{binaries.folder} are {binaries.version} and cannot read it. Nothing was changed. "
            f"Either keep using the old binaries: MARKETDATA_PG_BINDIR={old} - or move the data: "
            f"run the service with the old binaries, pg_dump -Fc the database 'marketdata', then "
            f"start with the new ones on an empty MARKETDATA_DATA_DIR and pg_restore it there."
        )
        raise DatabaseSetupError(message)

    def _check_reachable(self, existing: Path, account: Account) -> None:
        if account.can_enter(existing):
            return
        closed = account.closed_part(existing)
        if account.is_switched:
            message = (
                f"As root, PostgreSQL runs as '{account.name}', which cannot enter {closed}, so it "
                f"cannot use the data folder {self.path}. Set MARKETDATA_DATA_DIR to a folder "
                f"outside of it (unset, it is {STATE_FOLDER / 'data'}), or allow passing through "
                f"with: chmod o+x {closed}"
            )
        else:
            message = (
                f"The data folder {self.path} cannot be used: {closed} is closed to this account. "
                f"Set MARKETDATA_DATA_DIR to a folder that it can write."
            )
        raise DatabaseSetupError(message)

    def _check_owner(self, account: Account) -> None:
        if not self.pgdata.exists() or self.pgdata.stat().st_uid == account.uid:
            return
        message = (
            f"The database in {self.pgdata} belongs to another account than the one that "
            f"PostgreSQL would run as, '{account.name}'. Start the service as the same user as "
            f"before, or hand the database over: chown -R {account.uid}:{account.gid} {self.pgdata}"
        )
        raise DatabaseSetupError(message)


def _read_secret(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None


def default_data_folder(state_folder: Path = STATE_FOLDER) -> Path:
    """Return where the database is kept when nobody says: for root below /var/lib, else at home."""
    if os.geteuid() == 0:
        return state_folder / "data"
    return platformdirs.user_data_path(_APPLICATION, appauthor=False) / "data"
