"""The system account that PostgreSQL's processes run as: PostgreSQL refuses to run as root."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from marketdata.errors import DatabaseSetupError

_UNPRIVILEGED = "nobody"
# All that the processes get: an inherited environment could hold DB_PASSWORD or an API key, and
# /proc/<pid>/environ would show it to every process of the account. C keeps messages in English,
# which the launcher reads.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
# The caller's own working folder may be closed to the account.
_WORKING_FOLDER = "/"
# Python could change the account itself, but only in a child that it forks: what others do at forks,
# such as gRPC, then runs beside threads that hold locks, and now and then the child dies of it. So a
# program of coreutils does it, without a fork of this process; it leaves the root folder as it is.
_SWITCHING_PROGRAM = "chroot"
_SWITCHING_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the machine.

    Attributes
    ----------
    name : str
        For messages.
    uid, gid : int
        Numeric ids; files of the database belong to them.
    is_switched : bool
        True when the caller is root and processes have to change to the account.
    """

    name: str
    uid: int
    gid: int
    is_switched: bool

    @property
    def is_known(self) -> bool:
        """Whether the machine has it in its list of accounts; a container's user may be a number."""
        try:
            pwd.getpwuid(self.uid)
        except KeyError:
            return False
        return True

    def run(
        self, arguments: Sequence[str | Path], *, timeout_seconds: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as the account until it ends, with its output captured.

        One that the account cannot execute answers 126 or 127, or raises OSError where nothing is
        switched.

        Raises
        ------
        OSError
            When it cannot be executed.
        subprocess.TimeoutExpired
            When it was killed after `timeout_seconds`.
        """
        return subprocess.run(  # noqa: S603 - the callers pass own, absolute programs
            self._switching(arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout_seconds,
            cwd=_WORKING_FOLDER,
            env=_ENVIRONMENT,
        )

    def spawn(
        self, arguments: Sequence[str], *, output: BinaryIO, variables: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        """Start a program as the account that outlives the caller.

        It leads its own session, so neither Ctrl-C nor the caller's end reaches it, and inherits
        no file descriptor but `output`: an inherited lock would outlive its owner.
        """
        return subprocess.Popen(  # noqa: S603 - the callers pass own, absolute programs
            self._switching(arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            close_fds=True,
            cwd=_WORKING_FOLDER,
            env=_ENVIRONMENT | variables,
            umask=0o077,
        )

    def can_enter(self, path: Path) -> bool:
        """Whether the account can traverse (or execute) `path`: tried, not read from mode bits.

        Every parent counts, and so do ACLs and mount options.
        """
        if not self.is_switched:
            return os.access(path, os.X_OK)
        return self.run(["test", "-x", path], timeout_seconds=10).returncode == 0

    def closed_part(self, path: Path) -> Path:
        """Return the outermost part of `path` that the account cannot enter."""
        for part in reversed(path.parents):
            if not self.can_enter(part):
                return part
        return path

    def _switching(self, arguments: Sequence[str | Path]) -> list[str | Path]:
        """Put before a program's arguments what makes it run as the account."""
        if not self.is_switched:
            return list(arguments)
        program = shutil.which(_SWITCHING_PROGRAM, path=_SWITCHING_PATH) or _SWITCHING_PROGRAM
        return [program, f"--userspec=+{self.uid}:+{self.gid}", "--groups=", "/", *arguments]


def current_account() -> Account:
    """Return the account for PostgreSQL: the caller's own, or `nobody` for root.

    Raises
    ------
    DatabaseSetupError
        When the caller is root and the machine has no `nobody`, or nothing to change to it with.
    """
    uid = os.geteuid()
    if uid != 0:
        return Account(name=f"uid {uid}", uid=uid, gid=os.getegid(), is_switched=False)
    try:
        entry = pwd.getpwnam(_UNPRIVILEGED)
    except KeyError as error:
        message = (
            f"PostgreSQL refuses to run as root, and this machine has no account "
            f"'{_UNPRIVILEGED}' to run it as. Start the service as a normal user."
        )
        raise DatabaseSetupError(message) from error
    if shutil.which(_SWITCHING_PROGRAM, path=_SWITCHING_PATH) is None:
        message = (
            f"PostgreSQL refuses to run as root, and this machine has no '{_SWITCHING_PROGRAM}' to run "
            f"it as '{_UNPRIVILEGED}'. Install coreutils, or start the service as a normal user."
        )
        raise DatabaseSetupError(message)
    return Account(name=_UNPRIVILEGED, uid=entry.pw_uid, gid=entry.pw_gid, is_switched=True)
