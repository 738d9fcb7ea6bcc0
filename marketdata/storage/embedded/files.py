"""Making folders and files with exactly the rights that they need, whatever the umask."""

import os
import tempfile
from pathlib import Path


def make_folders(path: Path, *, leaf_mode: int, parent_mode: int) -> None:
    """Make `path` and its missing parents with the given modes; existing ones are left alone."""
    if path.exists():
        return
    make_folders(path.parent, leaf_mode=parent_mode, parent_mode=parent_mode)
    path.mkdir(exist_ok=True)
    path.chmod(leaf_mode)


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 at once: a crash leaves the old content or the new, never half."""
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}_", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make renames within a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
