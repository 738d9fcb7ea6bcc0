"""A folder of files of bars: which file a symbol's bars are in, and whether it stays as it is.

::

    <folder>/1d/AAPL.csv          a folder for each timeframe, in it a file for each symbol
    <folder>/1m/AAPL.parquet
    <folder>/actions.csv          optional: splits and cash dividends of all symbols
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from marketdata.domain.symbol import Symbol
from marketdata.domain.timeframe import MICROSECONDS_PER_SECOND, Timeframe
from marketdata.errors import (
    ProviderAnswerError,
    ProviderSymbolError,
    ProviderUnavailableError,
)
from marketdata.providers.files.fields import FileKind

PROVIDER: Final = "files"
TIMEFRAMES: Final = tuple(timeframe for timeframe in Timeframe if timeframe.is_stored)
# In the order in which they are looked for. Compressed CSV is read as it is.
_SUFFIXES: Final = {
    ".parquet": FileKind.PARQUET,
    ".csv": FileKind.CSV,
    ".csv.gz": FileKind.CSV,
    ".csv.zst": FileKind.CSV,
}
# What no file name can be led astray with: no separators, and no dot at the start.
_NAME: Final = re.compile(r"[\^A-Za-z0-9][A-Za-z0-9.=_-]*")
# Somebody who writes line by line is done, or writes again, within this.
_SETTLED_SECONDS: Final = 10
_ASK_AGAIN_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class FileState:
    """What changes when somebody writes to a file, or puts another in its place."""

    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> "FileState":
        """Look at a file.

        Raises
        ------
        ProviderUnavailableError
            It is not there any more, or may not be looked at.
        """
        try:
            status = path.stat()
        except OSError as error:
            raise ProviderUnavailableError(
                f"{path.name} cannot be read ({error.strerror}); see that it is there, and that the"
                " service may read it"
            ) from None
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A file of bars of one symbol, as it was when it was found.

    Attributes
    ----------
    path : Path
        Resolved: no link leads elsewhere from here.
    kind : FileKind
        What it is.
    shown : str
        Its place in the folder, for people.
    state : FileState
        When it was found.
    """

    path: Path
    kind: FileKind
    shown: str
    state: FileState

    def check_unchanged(self) -> None:
        """Hold the file to what it was when it was found.

        Raises
        ------
        ProviderUnavailableError
            It was written to meanwhile: what was read of it may be half of this and half of that.
        """
        if FileState.of(self.path) != self.state:
            raise ProviderUnavailableError(
                f"{self.shown} was changed while it was read; write another file and rename it into its"
                " place, then nobody sees it half done",
                retry_after_seconds=_ASK_AGAIN_SECONDS,
            )

    def check_settled(self, now_us: int) -> None:
        """Refuse a text that ends within a line and was written to just now.

        A number that is cut off is a number, too: 1234 of 1234567.

        Parameters
        ----------
        now_us : int
            Unix microseconds.

        Raises
        ------
        ProviderUnavailableError
            Somebody is writing it, by the looks of it.
        """
        age_us = now_us - self.state.modified_ns // 1_000
        if self.path.suffix != ".csv" or age_us >= _SETTLED_SECONDS * MICROSECONDS_PER_SECOND:
            return
        with self.path.open("rb") as file:
            file.seek(-min(1, self.state.size), os.SEEK_END)
            is_whole = file.read(1) in (b"\n", b"")
        if not is_whole:
            raise ProviderUnavailableError(
                f"{self.shown} ends within a line and was written to just now; end it with a line end,"
                f" or wait {_SETTLED_SECONDS} seconds",
                retry_after_seconds=_ASK_AGAIN_SECONDS,
            )


class Archive:
    """Finds files in the folder, and never outside of it.

    Parameters
    ----------
    folder : Path
        It may be absent until it is looked into.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, symbol: Symbol, timeframe: Timeframe) -> ArchivedFile:
        """Find a symbol's bars; blocks.

        Raises
        ------
        ProviderSymbolError
            There is no file for it.
        ProviderUnavailableError
            There is no folder: a disk that is not mounted says nothing of symbols.
        ProviderAnswerError
            There are two files for it, or one that leads out of the folder.
        """
        name = file_name(symbol)
        root = self._root()
        found = [
            (suffix, path)
            for suffix in _SUFFIXES
            if (path := root / timeframe.value / f"{name}{suffix}").is_file()
        ]
        if not found:
            raise ProviderSymbolError(
                f"there is no {timeframe.value}/{name}.csv nor .parquet in the folder of files; put it"
                " there, or give its name in the symbol's provider_symbols under files"
            )
        if len(found) > 1:
            names = " and ".join(path.name for _, path in found)
            raise ProviderAnswerError(f"{timeframe.value} has both {names}; keep one of them")
        ((suffix, path),) = found
        return self._inside(root, path, _SUFFIXES[suffix])

    def knows(self, symbol: Symbol) -> bool:
        """Tell whether there are bars of a symbol, of any timeframe; blocks."""
        name, root = file_name(symbol), self._root()
        return any(
            (root / timeframe.value / f"{name}{suffix}").is_file()
            for timeframe in TIMEFRAMES
            for suffix in _SUFFIXES
        )

    def find_actions(self) -> ArchivedFile | None:
        """Find the file of corporate actions; None where there is none; raises as `find` does."""
        root = self._root()
        path = root / "actions.csv"
        return self._inside(root, path, FileKind.CSV) if path.is_file() else None

    def _root(self) -> Path:
        root = self._folder.resolve()
        if not root.is_dir():
            raise ProviderUnavailableError(
                f"{self._folder} is no folder; make it, mount it, or correct MARKETDATA_FILES_DIR"
            )
        return root

    @staticmethod
    def _inside(root: Path, path: Path, kind: FileKind) -> ArchivedFile:
        resolved = path.resolve()
        shown = str(path.relative_to(root))
        if not resolved.is_relative_to(root):
            raise ProviderAnswerError(
                f"{shown} is a link that leads out of the folder of files, and is not followed; put the"
                " file itself there"
            )
        return ArchivedFile(resolved, kind, shown, FileState.of(resolved))


def file_name(symbol: Symbol) -> str:
    """Name the file of a symbol, without its suffix: as is said for it, else the symbol.

    Raises
    ------
    ProviderSymbolError
        What is said is no name of a file, such as ``../secret``.
    """
    name = symbol.provider_symbols.get(PROVIDER) or symbol.symbol
    if not _NAME.fullmatch(name):
        raise ProviderSymbolError(
            f"{name[:40]!r} is no name of a file of bars; correct what the symbol's provider_symbols"
            " have under files: letters, digits and . = _ - ^"
        )
    return name
