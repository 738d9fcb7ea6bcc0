"""Who owns a data folder: the holder of a lock that the kernel drops when the process ends.

The lock is flock's, on a descriptor that children do not inherit, so a killed service never leaves
a folder locked and the PostgreSQL that it left running does not hold it. The file's content only
tells people who the owner is.
"""

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path

from marketdata.errors import DataFolderInUseError
from marketdata.storage.embedded.deadline import Deadline
from marketdata.storage.embedded.postmaster import is_running

# The command that keeps a folder for good; every other one ends by itself and is waited for.
SERVE = "serve"
_POLL_SECONDS = 0.05
# The owner writes its name just after it took the lock: how long a reader waits for it.
_NAMING_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that owns a data folder.

    Attributes
    ----------
    pid : int
        Its process id.
    command : str
        What it does: ``serve``, ``import sample``.
    """

    pid: int
    command: str

    @property
    def is_serving(self) -> bool:
        """Whether it keeps the folder until somebody stops it."""
        return self.command == SERVE


class FolderLock:
    """Ownership of a data folder, for as long as this process lives or until released.

    Parameters
    ----------
    path : Path
        The lock file; made when missing, never removed.
    command : str
        What this process does, for the messages of others.
    """

    def __init__(self, path: Path, command: str) -> None:
        self._path = path
        self._command = command
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self, *, wait_seconds: float) -> None:
        """Take the lock.

        Parameters
        ----------
        wait_seconds : float
            How long to wait for an owner that is a short command; a serving one is not waited for.

        Raises
        ------
        DataFolderInUseError
            When another process, or another object of this one, has it.
        """
        # Without O_CLOEXEC (Python's default) PostgreSQL would keep a killed service's lock.
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._lock(descriptor, wait_seconds)
            os.ftruncate(descriptor, 0)
            owner = {"pid": os.getpid(), "command": self._command}
            os.pwrite(descriptor, json.dumps(owner).encode(), 0)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        # Emptied first: a name in the file must not outlive the ownership.
        os.ftruncate(descriptor, 0)
        os.close(descriptor)

    def _lock(self, descriptor: int, wait_seconds: float) -> None:
        deadline = Deadline(wait_seconds)
        naming = Deadline(_NAMING_SECONDS)
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = read_owner(self._path)
                is_unnamed = owner is None and not naming.expired
                is_short = (owner is None or not owner.is_serving) and not deadline.expired
                if not (is_unnamed or is_short):
                    raise DataFolderInUseError(self._refusal(owner, wait_seconds)) from None
                Deadline(_POLL_SECONDS).pause(_POLL_SECONDS)
            else:
                return

    def _refusal(self, owner: Owner | None, wait_seconds: float) -> str:
        folder = self._path.parent
        if owner is None:
            return f"The data folder {folder} is in use by another process. Stop that one first."
        who = f"'{owner.command}' (pid {owner.pid})"
        if owner.is_serving:
            return (
                f"The data folder {folder} is in use by {who}. Stop that one first; a second copy "
                f"beside it needs its own MARKETDATA_DATA_DIR and MARKETDATA_PORT."
            )
        return (
            f"The data folder {folder} is in use by {who} and was not free within "
            f"{wait_seconds:g} s. Wait until that command has ended, then start again."
        )


def read_owner(path: Path) -> Owner | None:
    """Return who wrote itself into the lock file; it may have been killed since then.

    None when nobody did, or when it gave the folder back.
    """
    try:
        content = json.loads(path.read_text())
        return Owner(pid=int(content["pid"]), command=str(content["command"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def find_serving_owner(path: Path) -> Owner | None:
    """Return the living process that serves from the folder; None when there is none."""
    owner = read_owner(path)
    if owner is None or not owner.is_serving or not is_running(owner.pid):
        return None
    return owner
