"""A process that runs minutes of some symbols through the pipeline; prints its peak memory, MB."""

import asyncio
import os
import sys
from pathlib import Path

from marketdata.storage.embedded import ServerAddress
from tests.benchmarks.pages import session_minutes
from tests.benchmarks.pipeline import run_through
from tests.benchmarks.setting import create_symbols
from tests.support.storage import opened_storage


async def main(database: ServerAddress, symbols: int) -> None:
    """Run all of it in one run."""
    async with opened_storage(lambda: database) as storage:
        names = [f"M{number}" for number in range(symbols)]
        await create_symbols(storage.symbols, names)
        await run_through(storage, session_minutes(), names)
    print(_peak_mb())  # noqa: T201 -- what the benchmark reads


def _peak_mb() -> float:
    # Not getrusage: its maximum is that of the process which this one was forked from, if that is more.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the system does not tell the peak of a process")


if __name__ == "__main__":
    host, port, user, name, count = sys.argv[1:]
    address = ServerAddress(host, int(port), user, os.environ["PGPASSWORD"], name)
    asyncio.run(main(address, int(count)))
