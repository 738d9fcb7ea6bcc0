"""PostgreSQL's log file: bounded in size, and read back to say why a start failed."""

import shutil
from pathlib import Path
from typing import BinaryIO

# PostgreSQL's routine lines (checkpoints, starts) are about 100 KB a day: this holds months, and
# many thousand errors. With the one older file, a folder never holds more than twice as much, plus
# what comes in between two looks of the supervisor.
MAX_BYTES = 16 * 2**20
_TAIL_LINES = 15
_TAIL_BYTES = 16 * 2**10


class ServerLog:
    """The file that PostgreSQL's standard error goes to.

    Parameters
    ----------
    path : Path
        Beside it, ``<name>.1`` keeps what was there before the last trim.
    max_bytes : int, optional
        From this size on `trim` acts.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes

    def open(self) -> BinaryIO:
        """Open it for a server to append to, mode 0600: failed statements are in it."""
        self._path.touch(mode=0o600)
        # Unbuffered appending is what lets `trim` cut the file under a running server.
        return self._path.open("ab", buffering=0)

    def size(self) -> int:
        """Bytes in it; 0 when there is none."""
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def trim(self) -> None:
        """Start the file anew when it has grown too large; lines of the moment between are lost."""
        if self.size() < self._max_bytes:
            return
        older = self._path.with_name(f"{self._path.name}.1")
        shutil.copyfile(self._path, older)
        older.chmod(0o600)
        with self._path.open("r+b") as file:
            file.truncate(0)

    def tail(self, start: int, *, secret: str) -> str:
        """Return the last lines written since byte `start`, without `secret`."""
        try:
            with self._path.open("rb") as file:
                file.seek(max(start, self.size() - _TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        # Nothing writes it there; a message that is shown and sent around is worth the certainty.
        return "\n".join(text.replace(secret, "***").splitlines()[-_TAIL_LINES:])
