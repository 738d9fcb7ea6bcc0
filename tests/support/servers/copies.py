"""Servers whose TimescaleDB is of another version than the provisioned one's.

Packages have one version only, so others are made: a private copy of the provisioned server, in which
the extension goes by another version in every place that a server looks at. These are the control file,
the names of script and library, and the version that the library holds (of the same length, so that it
is replaced in place). What the library does stays the same.
"""

import re
import shutil
from pathlib import Path
from typing import Final

from tests.support.servers.apache import apache_programs

# The libraries below them are shared: the programs know where these lie.
_PARTS: Final = ("usr/lib/postgresql", "usr/share/postgresql")
_VERSION: Final = re.compile(r"default_version = '(\d+\.\d+\.\d+)'")


class ServerCopy:
    """A copy of the server with TimescaleDB under its Apache licence.

    Parameters
    ----------
    folder : Path
        Where to make it.

    Raises
    ------
    NotProvisionedError
        The machine cannot have one.
    """

    def __init__(self, folder: Path) -> None:
        bindir = apache_programs().resolve()
        root = bindir.parents[4]
        for part in _PARTS:
            shutil.copytree(root / part, folder / part, symlinks=True)
        self.programs = folder / bindir.relative_to(root)
        self._libraries = self.programs.parent / "lib"
        (self._control,) = (folder / _PARTS[1]).rglob("timescaledb.control")
        found = _VERSION.search(self._control.read_text())
        assert found is not None
        self.version = found[1]

    def offer(self, version: str) -> None:
        """Let the control file name another version: what CREATE EXTENSION would make."""
        text = self._control.read_text()
        self._control.write_text(text.replace(f"'{self.version}'", f"'{version}'"))

    def add(self, version: str) -> None:
        """Add another version beside the one that is there."""
        library = self._library(self.version).read_bytes()
        assert len(version) == len(self.version)
        self._library(version).write_bytes(library.replace(self.version.encode(), version.encode()))
        script = self._script(self.version).read_text()
        self._script(version).write_text(script.replace(self.version, version))

    def update(self, version: str) -> None:
        """Do to it what a package's update does: another version, its scripts, the old library gone."""
        self.add(version)
        self._library(self.version).unlink()
        self.offer(version)
        self._script(f"{self.version}--{version}").write_text(
            "UPDATE pg_catalog.pg_proc\n"  # noqa: S608 -- both versions are the tests' own
            f"   SET probin = '$libdir/timescaledb-{version}'\n"
            f" WHERE probin = '$libdir/timescaledb-{self.version}';\n"
        )

    def _library(self, version: str) -> Path:
        return self._libraries / f"timescaledb-{version}.so"

    def _script(self, versions: str) -> Path:
        return self._control.with_name(f"timescaledb--{versions}.sql")
