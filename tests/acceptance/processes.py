"""Real processes: the service and its commands, as the installed entry point starts them."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from marketdata.storage.embedded import ServerAddress, attach
from marketdata.storage.embedded.pidfile import read_pidfile
from marketdata.storage.embedded.postmaster import find_postmaster
from tests.support.embedded import wait_until

PROGRAMS: Final = Path(sys.executable).parent
# First start, migration and sample take 3 s on a quiet machine.
START_SECONDS: Final = 60.0
# Longer than the default drain and a fast shutdown of PostgreSQL.
STOP_SECONDS: Final = 30.0
_COMMAND_SECONDS: Final = 60.0
_SERVING: Final = re.compile(r"^Serving on (\S+):(\d+) ", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    def table(self) -> list[list[str]]:
        """Give the words of every line of its table, without the headings."""
        return [line.split() for line in self.out.splitlines()[2:]]


def environment(folder: Path, **variables: str | int) -> dict[str, str]:
    """Make the environment of a process that works on `folder`: nothing of the machine's settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DB_", "MARKETDATA_", "PG"))}
    own = {"MARKETDATA_DATA_DIR": str(folder), "MARKETDATA_PORT": "0"}
    return kept | own | {name: str(value) for name, value in variables.items()}


def marketdata(folder: Path, *arguments: str, **variables: str | int) -> Outcome:
    """Run a command to its end."""
    return run([PROGRAMS / "marketdata", *arguments], folder, **variables)


def grpcurl(folder: Path, *arguments: str) -> Outcome:
    """Run the real grpcurl to its end."""
    return run([PROGRAMS / "grpcurl", "-plaintext", *arguments], folder)


def run(command: list[Any], folder: Path, **variables: str | int) -> Outcome:
    """Run a program to its end, in a folder that has no .env."""
    done = subprocess.run(
        command,
        env=environment(folder, **variables),
        cwd=folder.parent,
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def begin(folder: Path, *arguments: str, **variables: str | int) -> "subprocess.Popen[str]":
    """Start a command, and give its process, which is to be ended by its pid only."""
    return subprocess.Popen(
        [PROGRAMS / "marketdata", *arguments],
        env=environment(folder, **variables),
        cwd=folder.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@dataclass
class Service:
    """A service in a process of its own.

    Attributes
    ----------
    folder : Path
        Its data folder.
    process : Popen
        Started by this test, and ended by its pid only.
    """

    folder: Path
    process: "subprocess.Popen[bytes]"
    out: Path
    err: Path
    address: str = field(default="", init=False)

    @property
    def port(self) -> int:
        """The port that it serves on."""
        return int(self.address.rpartition(":")[2])

    @property
    def pgdata(self) -> Path:
        """PostgreSQL's own folder."""
        return self.folder / "pg"

    def read_address(self) -> bool:
        """Look for the line that tells where it serves; False for as long as it is not there."""
        assert self.process.poll() is None, f"the service ended:\n{self.log()}"
        found = _SERVING.search(self.out.read_text())
        if found:
            self.address = f"{found[1]}:{found[2]}"
        return bool(found)

    def log(self) -> str:
        """Give all that it has said on standard error."""
        return self.err.read_text()

    def database(self) -> ServerAddress:
        """Find its PostgreSQL, proven to work on its folder."""
        address = attach(self.folder, wait_seconds=START_SECONDS)
        assert address is not None
        return address

    def postmaster_pid(self) -> int:
        """Tell the pid of its PostgreSQL, which is proven to be this folder's."""
        with psycopg.connect(**self.database().connection_parameters()) as connection:  # type: ignore[arg-type]
            row = connection.execute("SHOW data_directory").fetchone()
        assert row is not None
        assert Path(row[0]).resolve() == self.pgdata.resolve()
        pidfile = read_pidfile(self.pgdata)
        assert pidfile is not None
        return pidfile.pid

    def kill(self) -> None:
        """Kill the service as an out-of-memory killer would; its PostgreSQL runs on."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


@contextlib.contextmanager
def serving(
    folder: Path, *options: str, under: Sequence[str] = (), **variables: str | int
) -> Iterator[Service]:
    """Run a service on a data folder until it is stopped, at the latest with the context.

    Parameters
    ----------
    under : sequence of str
        A program that becomes the service, with its arguments. Default: none.
    """
    out, err = folder.parent / "serve.out", folder.parent / "serve.err"
    with out.open("wb") as out_file, err.open("wb") as err_file:
        process = subprocess.Popen(
            [*under, PROGRAMS / "marketdata", "serve", *options],
            env=environment(folder, **variables),
            cwd=folder.parent,
            stdout=out_file,
            stderr=err_file,
        )
    service = Service(folder, process, out, err)
    try:
        wait_until(service.read_address, START_SECONDS)
        yield service
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOP_SECONDS)


def runs_postgres(folder: Path) -> bool:
    """Whether a PostgreSQL runs on a data folder."""
    pidfile = read_pidfile(folder / "pg")
    return pidfile is not None and find_postmaster(pidfile.pid, folder / "pg") is not None


@contextlib.contextmanager
def taken_port() -> Iterator[int]:
    """Keep a port taken, as another program does."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield int(taken.getsockname()[1])
