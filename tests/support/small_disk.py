"""A disk that is soon full: a small file system in memory, which only root can mount."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

#: Says what is not tested without it.
NEEDS_ROOT: Final = pytest.mark.skipif(
    os.geteuid() != 0, reason="a disk that is full needs a file system of its own: only root mounts one"
)
_BALLAST: Final = "ballast"


@dataclass(frozen=True)
class SmallDisk:
    """A mounted file system.

    Attributes
    ----------
    folder : Path
        Where it is mounted.
    """

    folder: Path

    def fill(self, free_bytes: int) -> None:
        """Take all of its space but so much."""
        stat = os.statvfs(self.folder)
        size = stat.f_bavail * stat.f_frsize - free_bytes
        assert size > 0, "less than that is free already"
        with (self.folder / _BALLAST).open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, size)

    def free(self) -> None:
        """Give the space back."""
        (self.folder / _BALLAST).unlink()


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[SmallDisk]:
    """Mount a file system at a new folder; nothing of it is left at the end."""
    folder.mkdir(parents=True)
    options = f"size={size_bytes},mode=755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
