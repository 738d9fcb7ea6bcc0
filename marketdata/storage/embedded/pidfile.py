"""PostgreSQL's postmaster.pid: who it says runs on a database folder, and how far it is.

The format is PostgreSQL's own (src/include/utils/pidfile.h), the same in 15 to 18. It is a claim
and no proof: after a kill -9 or a power cut it stays, and its pid can be any other program's.
"""

from dataclasses import dataclass
from pathlib import Path

READY = "ready"
_PID_LINE, _PORT_LINE, _STATUS_LINE = 0, 3, 7


@dataclass(frozen=True, slots=True)
class PidFile:
    """What postmaster.pid says.

    Attributes
    ----------
    pid : int
        The postmaster's process id.
    port : int or None
        Its TCP port; None while it has not listened yet.
    status : str
        ``starting``, ``ready``, ``stopping``; empty while it is not written yet.
    """

    pid: int
    port: int | None
    status: str

    @property
    def is_ready(self) -> bool:
        """Whether the postmaster says that it takes connections."""
        return self.status == READY and self.port is not None


def parse_pidfile(text: str) -> PidFile | None:
    """Return the content of a postmaster.pid; None when it is none, or written only in part.

    A standalone backend (``postgres --single``) marks its own with a negative pid: None as well;
    PostgreSQL itself refuses to start beside it.
    """
    lines = [line.strip() for line in text.splitlines()]
    try:
        pid = int(lines[_PID_LINE])
        port = int(lines[_PORT_LINE]) if len(lines) > _PORT_LINE else None
    except (IndexError, ValueError):
        return None
    if pid <= 0:
        return None
    status = lines[_STATUS_LINE] if len(lines) > _STATUS_LINE else ""
    return PidFile(pid=pid, port=port, status=status)


def read_pidfile(pgdata: Path) -> PidFile | None:
    """Return what the postmaster.pid in `pgdata` says; None when there is none."""
    try:
        text = (pgdata / "postmaster.pid").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    return parse_pidfile(text)
