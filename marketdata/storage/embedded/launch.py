"""Starting a postmaster on a complete database folder, until it takes connections."""

import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from marketdata.errors import DatabaseSetupError
from marketdata.storage.embedded.account import Account
from marketdata.storage.embedded.address import LOOPBACK
from marketdata.storage.embedded.binaries import Binaries
from marketdata.storage.embedded.deadline import Deadline
from marketdata.storage.embedded.folder import DataFolder
from marketdata.storage.embedded.pidfile import PidFile, read_pidfile
from marketdata.storage.embedded.postmaster import Postmaster, is_foreign
from marketdata.storage.embedded.server_log import ServerLog
from marketdata.storage.embedded.settings import server_arguments

_LOG = logging.getLogger(__name__)
_POLL_SECONDS = 0.01
# A recovery of minutes must not look like a hang.
_TELL_SECONDS = 10.0
# A port that the kernel calls free can be taken before PostgreSQL binds it; twice in a row is rare.
_PORT_ATTEMPTS = 10
_PORT_TAKEN = "could not bind"
# What PostgreSQL says while processes of an earlier postmaster still use the database.
_STILL_IN_USE = ("pre-existing shared memory block", 'lock file "postmaster.pid" already exists')


class FolderBusyError(Exception):
    """PostgreSQL refused to start beside processes that still use the database; try again."""


class _PortTakenError(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Launcher:
    """Starts postmasters on one data folder.

    Parameters
    ----------
    folder : DataFolder
        Holds a complete database.
    binaries : Binaries
        What to start.
    account : Account
        Who runs it.
    password : str
        Only to keep it out of messages.
    extra_settings : mapping of str to str
        PostgreSQL settings over the launcher's own; they show in the process list.
    """

    folder: DataFolder
    binaries: Binaries
    account: Account
    password: str = field(repr=False)
    extra_settings: Mapping[str, str]

    def arguments(self, port: int) -> tuple[str, ...]:
        """Return the command line of a server on `port`."""
        program = self.binaries.program("postgres")
        return server_arguments(program, self.folder.pgdata, port, self.extra_settings)

    def launch(self, deadline: Deadline) -> tuple[Postmaster, int]:
        """Start a postmaster that takes connections; returns it and its port.

        The remembered port is tried first, so that clients find the server where it was.

        Raises
        ------
        FolderBusyError
            When processes of an earlier server still use the database.
        DatabaseSetupError
            When it ends while starting (the message has the end of its log), or does not get
            ready in time (then it is left running).
        AbandonedError
            When stopping was asked for; the postmaster is stopped then.
        """
        port = self.folder.read_port() or _free_port()
        for _ in range(_PORT_ATTEMPTS):
            try:
                postmaster = self._launch_on(port, deadline)
            except _PortTakenError:
                _LOG.warning("embedded_postgres_port_taken port=%d", port)
                port = _free_port()
            else:
                self.folder.remember_port(port)
                return postmaster, port
        message = (
            f"PostgreSQL found no free port on {LOOPBACK} in {_PORT_ATTEMPTS} attempts. Look at "
            f"what takes the machine's ports (ss -tan), then start again."
        )
        raise DatabaseSetupError(message)

    def _launch_on(self, port: int, deadline: Deadline) -> Postmaster:
        log = ServerLog(self.folder.log_file)
        log.trim()
        log_start = log.size()
        with log.open() as output:
            child = self.account.spawn(
                self.arguments(port), output=output, variables=_stale_pid(self.folder.pgdata)
            )
        postmaster = Postmaster.of_child(child)
        try:
            pidfile = wait_until_ready(postmaster, self.folder, deadline)
        except DatabaseSetupError:
            raise
        except BaseException:
            postmaster.stop()
            raise
        if pidfile is None:
            raise self._failure(log.tail(log_start, secret=self.password))
        return postmaster

    def _failure(self, log_tail: str) -> Exception:
        if _PORT_TAKEN in log_tail:
            return _PortTakenError()
        if any(text in log_tail for text in _STILL_IN_USE):
            return FolderBusyError(log_tail)
        return DatabaseSetupError(
            f"PostgreSQL {self.binaries.version} ended while starting on {self.folder.path}. "
            f"Correct what its log says ({self.folder.log_file}), then start again:\n{log_tail}"
        )


def wait_until_ready(postmaster: Postmaster, folder: DataFolder, deadline: Deadline) -> PidFile | None:
    """Wait until `postmaster` takes connections; None when it ended instead.

    After a crash it first replays up to max_wal_size of changes, which can take minutes. Ending it
    then would only make the next start begin again, so it is left running when the time is over.

    Raises
    ------
    DatabaseSetupError
        When the deadline passed.
    AbandonedError
        When stopping was asked for.
    """
    tell = Deadline(_TELL_SECONDS)
    while postmaster.is_alive():
        pidfile = read_pidfile(folder.pgdata)
        if pidfile is not None and pidfile.pid == postmaster.pid and pidfile.is_ready:
            return pidfile
        if deadline.expired:
            message = (
                f"PostgreSQL (pid {postmaster.pid}) on {folder.path} is still not ready; it may be "
                f"recovering. It was left running: look at {folder.log_file} and start again, the "
                f"service then goes on with it."
            )
            raise DatabaseSetupError(message)
        if tell.expired:
            _LOG.info("embedded_postgres_not_ready pid=%d log=%s", postmaster.pid, folder.log_file)
            tell = Deadline(_TELL_SECONDS)
        deadline.pause(_POLL_SECONDS)
    return None


def _stale_pid(pgdata: Path) -> dict[str, str]:
    # PostgreSQL refuses to start while the pid of a left-over postmaster.pid exists, even when it
    # now is another program's, or a zombie's. This variable (pg_ctl's own way, for pids that
    # coincide after a reboot) makes it look past that pid; its check that no process uses the
    # database's shared memory stays in force, which it would not if the file were removed.
    pidfile = read_pidfile(pgdata)
    if pidfile is None or not is_foreign(pidfile.pid, pgdata):
        return {}
    return {"PG_GRANDPARENT_PID": str(pidfile.pid)}


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
