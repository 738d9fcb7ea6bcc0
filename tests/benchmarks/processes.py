"""Programs that run beside the benchmark: the service itself, and the other sides' servers."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0
_TOLD_CHARACTERS: Final = 2_000
# The announcement of the programs in `tests.benchmarks.peers`, followed by their port.
LISTENING: Final = "listening on "


@dataclass(frozen=True, slots=True)
class Program:
    """A program that serves.

    Attributes
    ----------
    pid : int
        Its process.
    address : str
        ``host:port``.
    """

    pid: int
    address: str


@contextlib.asynccontextmanager
async def service(variables: Mapping[str, str]) -> AsyncIterator[Program]:
    """Run `marketdata serve` on a free port; its log goes to a file, as in production."""
    command = [str(Path(sys.executable).with_name("marketdata")), "serve"]
    async with running(command, "Serving on ", {**variables, "MARKETDATA_PORT": "0"}) as program:
        yield program


@contextlib.asynccontextmanager
async def peer(
    module: str, *arguments: str, variables: Mapping[str, str] | None = None
) -> AsyncIterator[Program]:
    """Run a program of `tests.benchmarks.peers`."""
    command = [sys.executable, "-m", f"tests.benchmarks.peers.{module}", *arguments]
    async with running(command, LISTENING, variables or {}) as program:
        yield program


@contextlib.asynccontextmanager
async def running(
    command: Sequence[str], announcement: str, variables: Mapping[str, str]
) -> AsyncIterator[Program]:
    """Run a program from the line that begins with `announcement` and its address to the end."""
    with tempfile.TemporaryFile("w+") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **variables},
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(_START_SECONDS):
                address = await _announced(process.stdout, announcement)
            if address is None:
                raise RuntimeError(f"{' '.join(command)} ended early:\n{_tail(log)}")
            yield Program(process.pid, address)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(_STOP_SECONDS):
                await process.communicate()


async def _announced(output: asyncio.StreamReader, announcement: str) -> str | None:
    async for line in output:
        text = line.decode()
        if text.startswith(announcement):
            return text.removeprefix(announcement).split()[0]
    return None


def _tail(log: IO[str]) -> str:
    log.seek(0)
    return log.read()[-_TOLD_CHARACTERS:]
