"""What the tests of the embedded PostgreSQL share; it has no test of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from marketdata.storage.embedded import EmbeddedPostgres, ServerAddress
from marketdata.storage.embedded.pidfile import read_pidfile
from marketdata.storage.embedded.postmaster import end_orphans, find_postmaster

REPOSITORY = Path(__file__).parents[2]
# A process that owns a folder until its standard input ends, or until it is killed.
_OWNER = """
import json, sys
from pathlib import Path
from marketdata.storage.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), command=sys.argv[2])
address = server.start()
print(json.dumps([server.pid, address.port]), flush=True)
sys.stdin.read()
server.stop()
"""


@dataclass(frozen=True)
class Owner:
    """Another process that owns a folder, and the server that it started."""

    process: "subprocess.Popen[str]"
    server_pid: int
    port: int

    def kill(self) -> None:
        """Kill the process; its server runs on."""
        self.process.kill()
        self.process.wait(10)


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """Make a folder that, unlike tmp_path, the account that PostgreSQL runs as can enter.

    At the end the servers that run below it are ended, and no other.
    """
    memory, disk = Path("/dev/shm"), Path("/var/tmp")  # noqa: S108
    # A database is some 40 MB. In memory the tests do not wait for a busy disk.
    is_roomy = memory.exists() and shutil.disk_usage(memory).free > 2**30
    base = Path(tempfile.mkdtemp(prefix="embedded_", dir=memory if is_roomy else disk))
    base.chmod(0o755)
    try:
        yield base
    finally:
        for pgdata in base.rglob("pg"):
            pidfile = read_pidfile(pgdata)
            postmaster = find_postmaster(pidfile.pid, pgdata) if pidfile else None
            if postmaster is not None:
                postmaster.stop()
            end_orphans(pgdata)
        shutil.rmtree(base)


@contextmanager
def made_folder() -> Iterator[Path]:
    """Make a data folder to copy from: initdb takes longer than most tests."""
    with reachable_folder() as base:
        server = EmbeddedPostgres(base / "data")
        server.start()
        server.stop()
        yield server.folder


@contextmanager
def copied(made: Path) -> Iterator[Path]:
    """Copy a data folder whose server is stopped; the copy has no port yet."""
    with reachable_folder() as base:
        subprocess.run(["cp", "--archive", made, base / "data"], check=True)
        (base / "data" / "port").unlink()
        yield base / "data"


@contextmanager
def owned(folder: Path, command: str = "serve") -> Iterator[Owner]:
    """Let another process own `folder`."""
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(folder), command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    ) as process:
        assert process.stdout is not None
        pid, port = json.loads(process.stdout.readline())
        yield Owner(process, pid, port)


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for a condition, not for a time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.01)


def query(address: ServerAddress | None, text: str) -> list[tuple[Any, ...]]:
    """Run one statement in its own connection."""
    assert address is not None
    parameters: dict[str, Any] = address.connection_parameters()
    with psycopg.connect(autocommit=True, **parameters) as connection:
        cursor = connection.execute(text.encode())
        return cursor.fetchall() if cursor.description else []


def kill(server: EmbeddedPostgres) -> None:
    """Kill the postmaster as an out-of-memory killer would."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: not server.is_alive())
