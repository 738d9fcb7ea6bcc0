"""The system account that PostgreSQL's processes run as: PostgreSQL refuses to run as root."""

import os
import pwd
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
_MOST_LOOKS = 3


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

        Raises
        ------
        OSError
            When it cannot be executed by the account.
        subprocess.TimeoutExpired
            When it was killed after `timeout_seconds`.
        """
        return subprocess.run(  # noqa: S603 - the callers pass own, absolute programs
            arguments,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout_seconds,
            cwd=_WORKING_FOLDER,
            env=_ENVIRONMENT,
            user=self.uid if self.is_switched else None,
            group=self.gid if self.is_switched else None,
            extra_groups=[] if self.is_switched else None,
        )

    def spawn(
        self, arguments: Sequence[str], *, output: BinaryIO, variables: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        """Start a program as the account that outlives the caller.

        It leads its own session, so neither Ctrl-C nor the caller's end reaches it, and inherits
        no file descriptor but `output`: an inherited lock would outlive its owner.
        """
        return subprocess.Popen(  # noqa: S603 - the callers pass own, absolute programs
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            close_fds=True,
            cwd=_WORKING_FOLDER,
            env=_ENVIRONMENT | variables,
            umask=0o077,
            user=self.uid if self.is_switched else None,
            group=self.gid if self.is_switched else None,
            extra_groups=[] if self.is_switched else None,
        )

    def can_enter(self, path: Path) -> bool:
        """Whether the account can traverse (or execute) `path`: tried, not read from mode bits.

        Every parent counts, and so do ACLs and mount options.
        """
        if not self.is_switched:
            return os.access(path, os.X_OK)
        for _ in range(_MOST_LOOKS):
            code = self.run(["test", "-x", path], timeout_seconds=10).returncode
            # A child that is forked beside the threads of others can die before it has looked.
            if code >= 0:
                break
        return code == 0

    def closed_part(self, path: Path) -> Path:
        """Return the outermost part of `path` that the account cannot enter."""
        for part in reversed(path.parents):
            if not self.can_enter(part):
                return part
        return path


def current_account() -> Account:
    """Return the account for PostgreSQL: the caller's own, or `nobody` for root.

    Raises
    ------
    DatabaseSetupError
        When the caller is root and the machine has no `nobody`.
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
    return Account(name=_UNPRIVILEGED, uid=entry.pw_uid, gid=entry.pw_gid, is_switched=True)
