"""The embedded PostgreSQL of one data folder: started, adopted, started again, stopped."""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from marketdata.errors import DatabaseSetupError, DataFolderInUseError
from marketdata.storage.embedded.account import current_account
from marketdata.storage.embedded.address import ServerAddress
from marketdata.storage.embedded.adoption import attach, database_address, find_running
from marketdata.storage.embedded.binaries import Binaries, find_binaries
from marketdata.storage.embedded.cluster import initialise
from marketdata.storage.embedded.deadline import AbandonedError, Deadline
from marketdata.storage.embedded.folder import STATE_FOLDER, DataFolder, default_data_folder
from marketdata.storage.embedded.launch import FolderBusyError, Launcher
from marketdata.storage.embedded.lock import SERVE, FolderLock
from marketdata.storage.embedded.postmaster import Postmaster, end_orphans
from marketdata.storage.embedded.server_log import ServerLog
from marketdata.storage.embedded.settings import TIMESCALE, check_extra_settings
from marketdata.storage.embedded.sql import prepare_database

_LOG = logging.getLogger(__name__)
# Recovery replays at most about max_wal_size (1 GB) and syncs every file of 2,500 partitions:
# a minute on a slow disk.
_START_SECONDS = 300.0
# How long processes of a killed postmaster may take to go; they get SIGKILL after 5 s.
_BUSY_SECONDS = 30.0
_BUSY_POLL_SECONDS = 0.1
# A migration or an import of the sample ends within this; a longer one should be told, not awaited.
_WAIT_SECONDS = 10.0
# A service that is starting: first start, migration of an empty database, recovery after a crash.
_ATTACH_SECONDS = 60.0


class EmbeddedPostgres:
    """The PostgreSQL that this process owns on one data folder.

    Methods block and may be called from any thread; one at a time has an effect.

    Parameters
    ----------
    folder : Path, optional
        Data folder (MARKETDATA_DATA_DIR); made when missing. Default: `default_data_folder()`.
    bindir : Path, optional
        Folder with the programs of another PostgreSQL (MARKETDATA_PG_BINDIR).
    command : str, optional
        What this process does, for the messages of others: ``serve``, or a command that ends by
        itself.
    wait_seconds : float, optional
        How long `start` waits for a short command that owns the folder.
    extra_settings : mapping of str to str, optional
        PostgreSQL settings over the launcher's own. They show in the process list: no secrets.
    state_folder : Path, optional
        Where root keeps what must not lie below /root.

    Raises
    ------
    DatabaseSetupError
        When `extra_settings` has a setting that is fixed.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        bindir: Path | None = None,
        command: str = SERVE,
        wait_seconds: float = _WAIT_SECONDS,
        extra_settings: Mapping[str, str] | None = None,
        state_folder: Path = STATE_FOLDER,
    ) -> None:
        self._extra_settings = dict(extra_settings or {})
        check_extra_settings(self._extra_settings)
        place = folder or default_data_folder(state_folder)
        self._folder = DataFolder(place.expanduser().resolve())
        self._bindir = bindir
        self._wait_seconds = wait_seconds
        self._state_folder = state_folder
        self._lock = FolderLock(self._folder.lock_file, command)
        self._mutex = threading.RLock()
        self._closing = threading.Event()
        self._launcher: Launcher | None = None
        self._service_password = ""
        self._postmaster: Postmaster | None = None
        self._address: ServerAddress | None = None

    @property
    def folder(self) -> Path:
        """The data folder, absolute."""
        return self._folder.path

    @property
    def address(self) -> ServerAddress | None:
        """Where the owner reaches the server; None before `start` and after `stop`."""
        return self._address

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None before `start` and after `stop`."""
        postmaster = self._postmaster
        return postmaster.pid if postmaster else None

    @property
    def is_owned(self) -> bool:
        """Whether this object owns the folder: from `start` to `stop`."""
        return self._lock.is_held

    def is_alive(self) -> bool:
        """Whether the postmaster runs. Never blocks."""
        postmaster = self._postmaster
        return postmaster is not None and postmaster.is_alive()

    def start(self) -> ServerAddress:
        """Own the folder and have its PostgreSQL running, made or adopted; returns its address.

        Raises
        ------
        DataFolderInUseError
            When another process owns the folder.
        DatabaseSetupError
            When there is no PostgreSQL to run, the folder does not fit, or it does not start.
        """
        with self._mutex, self._told():
            if self._address is not None:
                return self._address
            self._closing.clear()
            account = current_account()
            binaries = find_binaries(self._bindir, account, self._state_folder)
            self._folder.create(account)
            self._lock.acquire(wait_seconds=self._wait_seconds)
            try:
                password = self._folder.ensure_password()
                if self._folder.is_initialised:
                    self._folder.check_version(binaries, self._state_folder)
                else:
                    initialise(self._folder, binaries, account, password)
                self._service_password = self._folder.ensure_service_password()
                self._launcher = Launcher(
                    self._folder, binaries, account, password, self._settings(binaries)
                )
                return self._bring_up(self._launcher)
            except BaseException:
                self._let_go()
                raise

    def restart_if_dead(self) -> ServerAddress | None:
        """Start PostgreSQL again if it died; returns the new address, None when nothing was done.

        Raises
        ------
        DatabaseSetupError
            When it cannot be started; the folder stays owned, so it can be tried again.
        """
        with self._mutex, self._told():
            if self._launcher is None or not self.is_owned or self.is_alive():
                return None
            if not self._folder.is_initialised:
                # Never made anew here: an empty database under a running service would look like
                # one whose data was deleted.
                message = f"The database in {self._folder.pgdata} is gone. Restore it."
                raise DatabaseSetupError(message)
            return self._bring_up(self._launcher)

    def stop(self) -> None:
        """Shut PostgreSQL down and give the folder back; a start in another thread is cut short.

        Raises
        ------
        DatabaseSetupError
            When PostgreSQL does not end; the folder is given back all the same.
        """
        self._closing.set()
        with self._mutex, self._told():
            self._let_go()

    def trim_log(self) -> None:
        """Keep PostgreSQL's log file within its bound."""
        ServerLog(self._folder.log_file).trim()

    def _settings(self, binaries: Binaries) -> dict[str, str]:
        return {**(TIMESCALE if binaries.has_timescale else {}), **self._extra_settings}

    def _bring_up(self, launcher: Launcher) -> ServerAddress:
        postmaster, port = self._adopt_or_launch(launcher)
        address = database_address(port, launcher.password, self._service_password)
        try:
            prepare_database(address)
        except BaseException:
            # A live server that is not ready for use would pass for a healthy one.
            postmaster.stop()
            raise
        self._postmaster, self._address = postmaster, address
        _LOG.info(
            "embedded_postgres_ready pid=%d port=%d version=%s folder=%s",
            postmaster.pid,
            port,
            launcher.binaries.version,
            self.folder,
        )
        return address

    def _adopt_or_launch(self, launcher: Launcher) -> tuple[Postmaster, int]:
        deadline = Deadline(_START_SECONDS, self._closing)
        busy = Deadline(_BUSY_SECONDS, self._closing)
        while True:
            adopted = self._adopt(launcher, deadline)
            if adopted is not None:
                return adopted
            try:
                return launcher.launch(deadline)
            except FolderBusyError as error:
                if busy.expired:
                    message = (
                        f"Processes of an earlier PostgreSQL still use {self.folder} after "
                        f"{_BUSY_SECONDS:g} s. End them, then start again:\n{error}"
                    )
                    raise DatabaseSetupError(message) from error
                end_orphans(self._folder.pgdata)
                busy.pause(_BUSY_POLL_SECONDS)

    def _adopt(self, launcher: Launcher, deadline: Deadline) -> tuple[Postmaster, int] | None:
        running = find_running(self._folder, launcher.password, deadline)
        if running is None:
            return None
        if running.postmaster.command_line() == launcher.arguments(running.port):
            _LOG.info("embedded_postgres_adopted pid=%d", running.postmaster.pid)
            self._folder.remember_port(running.port)
            return running.postmaster, running.port
        # Left by another release, or with other settings: only a start makes these effective.
        _LOG.warning("embedded_postgres_replaced pid=%d", running.postmaster.pid)
        running.postmaster.stop()
        return None

    def _let_go(self) -> None:
        postmaster, self._postmaster = self._postmaster, None
        self._address = self._launcher = None
        try:
            if postmaster is not None:
                postmaster.stop()
                _LOG.info("embedded_postgres_stopped pid=%d", postmaster.pid)
        finally:
            self._lock.release()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except AbandonedError as error:
            message = "Starting PostgreSQL was cut short because the service is being stopped."
            raise DatabaseSetupError(message) from error
        except OSError as error:
            message = (
                f"The data folder {self.folder} cannot be used: {error.strerror or error} "
                f"({error.filename or 'no file'}). Look at its owner, its rights and the space on "
                f"its disk, or set MARKETDATA_DATA_DIR to another folder."
            )
            raise DatabaseSetupError(message) from error


@contextmanager
def borrowed_address(server: EmbeddedPostgres) -> Iterator[ServerAddress]:
    """Use the database for the time of a command, beside a running service or without one.

    Attaches to the server of the service that owns the folder; without a service, starts `server`
    and stops it at the end. A service that starts at the same moment is attached to.

    Raises
    ------
    DataFolderInUseError
        When another short command has the folder for too long.
    DatabaseSetupError
        When the database cannot be started or reached.
    """
    address = attach(server.folder)
    if address is None:
        try:
            address = server.start()
        except DataFolderInUseError:
            address = attach(server.folder, wait_seconds=_ATTACH_SECONDS)
            if address is None:
                raise
    try:
        yield address
    finally:
        server.stop()
