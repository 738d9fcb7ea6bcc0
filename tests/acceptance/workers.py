"""Real ``marketdata worker`` processes, each with a clock of its own."""

import json
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.processes import PROGRAMS, STOP_SECONDS, environment
from tests.support.skewed_clock import SkewedClock


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker in a process of its own.

    Attributes
    ----------
    process : Popen
        Started by this test, and ended by its pid only.
    clock : SkewedClock
        What it takes for now.
    log : Path
        What it says, an event a line.
    """

    process: "subprocess.Popen[bytes]"
    clock: SkewedClock
    log: Path

    def said(self, event: str) -> list[dict[str, Any]]:
        """List what it has said of an event."""
        return [line for line in self._lines() if line["message"] == event]

    def defects(self) -> list[dict[str, Any]]:
        """List what it has said that should never happen; a database that is slow to answer may."""
        errors = [line for line in self._lines() if line["level"] in {"ERROR", "CRITICAL"}]
        return [line for line in errors if line["message"] != "database_health"]

    def is_ready(self) -> bool:
        """Whether it has begun; fails where it has ended."""
        assert self.process.poll() is None, self.log.read_text()
        return bool(self.said("worker_ready"))

    def stand_still(self) -> None:
        """Stop it in the middle of whatever it does."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on, as if nothing had been."""
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> int:
        """Ask it to end, and return its exit code."""
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)

    def _lines(self) -> list[dict[str, Any]]:
        # The last one may not be whole yet; what Python warns of stands between them.
        *lines, _ = self.log.read_text().split("\n")
        return [json.loads(line) for line in lines if line.startswith("{")]


@contextmanager
def working(
    base: Path, clocks: Sequence[SkewedClock], variables: Mapping[str, str | int]
) -> Iterator[list[Worker]]:
    """Start a worker for each clock; what still runs at the end of the context is killed."""
    workers: list[Worker] = []
    try:
        for number, clock in enumerate(clocks):
            log = base / f"worker-{number}.log"
            with log.open("wb") as out:
                process = subprocess.Popen(
                    [PROGRAMS / "marketdata", "worker"],
                    env=environment(base / "data", **variables, **clock.variables()),
                    cwd=base,
                    stdout=subprocess.DEVNULL,
                    stderr=out,
                )
            workers.append(Worker(process, clock, log))
        yield workers
    finally:
        for worker in workers:
            # Also one that stands still.
            worker.process.kill()
            worker.process.wait(STOP_SECONDS)
