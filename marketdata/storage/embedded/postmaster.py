"""PostgreSQL's processes on this machine: finding, watching and ending those of one folder."""

import itertools
import logging
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from marketdata.errors import DatabaseSetupError
from marketdata.storage.embedded.deadline import Deadline
from marketdata.storage.embedded.settings import cluster_name

_LOG = logging.getLogger(__name__)

# Fast shutdown ends the sessions and writes a checkpoint: at most shared_buffers, seconds on a slow
# disk. Together the stages stay below the 90 s after which systemd kills the whole service.
_STOP_STAGES: tuple[tuple[signal.Signals, float], ...] = (
    (signal.SIGINT, 60.0),
    # Immediate: no checkpoint, the next start recovers. The postmaster kills its children itself
    # after 5 s.
    (signal.SIGQUIT, 10.0),
    (signal.SIGKILL, 5.0),
)
# What the postmaster itself gives its children after SIGQUIT before it kills them.
_ORPHAN_SECONDS = 5.0
_POLL_SECONDS = 0.01


class Postmaster:
    """A running postmaster: a child of this process, or one that an earlier process left.

    Parameters
    ----------
    process : psutil.Process
        Knows the start time of the process too, so its pid is never mistaken when it is reused.
    child : subprocess.Popen, optional
        Set for an own child, which has to be reaped.
    """

    def __init__(self, process: psutil.Process, child: "subprocess.Popen[bytes] | None" = None) -> None:
        self._process = process
        self._child = child

    @classmethod
    def of_child(cls, child: "subprocess.Popen[bytes]") -> "Postmaster":
        """Wrap a postmaster that this process has just started."""
        return cls(psutil.Process(child.pid), child)

    @property
    def pid(self) -> int:
        """Its process id."""
        return int(self._process.pid)

    def is_alive(self) -> bool:
        """Whether it still runs. Never blocks; some microseconds."""
        if self._child is not None:
            return self._child.poll() is None
        return _is_alive(self._process)

    def command_line(self) -> tuple[str, ...]:
        """Return its arguments; empty when it has ended."""
        return tuple(_command_line(self._process))

    def stop(self) -> None:
        """End it: fast shutdown first, then with more force.

        Raises
        ------
        DatabaseSetupError
            When it did not even end after SIGKILL (a disk that does not answer).
        """
        for signal_number, seconds in _STOP_STAGES:
            if self.is_alive():
                _signal(self._process, signal_number)
            if _wait(self.is_alive, seconds):
                return
            _LOG.warning(
                "embedded_postgres_stop_slow pid=%d signal=%s seconds=%g",
                self.pid,
                signal_number.name,
                seconds,
            )
        message = (
            f"PostgreSQL (pid {self.pid}) does not end, not even when killed; it probably waits "
            f"for a disk. Look at the machine's storage; a restart of the machine ends it."
        )
        raise DatabaseSetupError(message)


def is_running(pid: int) -> bool:
    """Whether any process has this pid."""
    return bool(psutil.pid_exists(pid))


def find_postmaster(pid: int, pgdata: Path) -> Postmaster | None:
    """Return the process `pid` if it is a live postmaster on `pgdata`; None for any other program.

    The command line of a postmaster can be read by every account; its PostgreSQL children have
    replaced theirs.
    """
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None
    return Postmaster(process) if _is_postmaster(process, pgdata) else None


def is_foreign(pid: int, pgdata: Path) -> bool:
    """Whether `pid` is known to be no live postmaster on `pgdata`: another program, or a zombie.

    False when it cannot be told: a process whose command line is closed to this account.
    """
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return False
    if not _is_alive(process):
        return True
    return bool(_command_line(process)) and not _is_postmaster(process, pgdata)


def end_orphans(pgdata: Path) -> None:
    """End the processes that a killed postmaster of `pgdata` left behind.

    Most end by themselves at once; one in the middle of a long calculation does not look, and
    PostgreSQL rightly refuses to start beside it. They get what the postmaster itself would have
    sent them in a crash: SIGQUIT, then SIGKILL.
    """
    orphans = _find_orphans(pgdata)
    for signal_number in (signal.SIGQUIT, signal.SIGKILL):
        for orphan in orphans:
            _LOG.warning(
                "embedded_postgres_orphan_ended pid=%d signal=%s", orphan.pid, signal_number.name
            )
            _signal(orphan, signal_number)
        orphans = _survivors(orphans)


def _find_orphans(pgdata: Path) -> list[psutil.Process]:
    title = f"postgres: {cluster_name(pgdata)}: "
    orphans = []
    for process in psutil.process_iter():
        if not " ".join(_command_line(process)).startswith(title):
            continue
        try:
            parent = process.parent()
        except psutil.NoSuchProcess:
            continue
        # A live postmaster looks after its children itself.
        if parent is None or not _is_postmaster(parent, pgdata):
            orphans.append(process)
    return orphans


def _survivors(processes: list[psutil.Process]) -> list[psutil.Process]:
    _wait(lambda: any(map(_is_alive, processes)), _ORPHAN_SECONDS)
    return [process for process in processes if _is_alive(process)]


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, signal_number: signal.Signals) -> None:
    # It may end at any moment; psutil sends nothing to another process that got its pid.
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signal_number)


def _wait(is_alive: Callable[[], bool], seconds: float) -> bool:
    # Not psutil's wait: it waits for zombies too, which stay for good where nobody reaps orphans
    # (a container without an init).
    deadline = Deadline(seconds)
    while is_alive():
        if deadline.expired:
            return False
        deadline.pause(_POLL_SECONDS)
    return True


def _is_postmaster(process: psutil.Process, pgdata: Path) -> bool:
    arguments = _command_line(process)
    if not arguments or Path(arguments[0]).name not in {"postgres", "postmaster"}:
        return False
    return ("-D", str(pgdata)) in itertools.pairwise(arguments)


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return [str(argument) for argument in process.cmdline()]
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []
