"""Command line of the benchmarks: ``scripts/bench`` runs it, ``docs/benchmarks.md`` explains it."""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from tests.benchmarks import (
    as_of,
    compression,
    first_batch,
    ingest,
    latest_bar,
    log_head,
    memory,
    path,
    pipeline,
    read,
    stalled_readers,
    stream,
    write_rates,
)
from tests.benchmarks.machine import describe
from tests.benchmarks.report import print_report, write_json
from tests.benchmarks.sampling import Line
from tests.benchmarks.setting import Setting
from tests.support.databases import Databases, running_server

Benchmark = Callable[[Setting], Awaitable[list[Line]]]

BENCHMARKS: Final[Mapping[str, Benchmark]] = {
    module.NAME: module.run
    for module in (
        ingest,
        read,
        as_of,
        stream,
        path,
        first_batch,
        latest_bar,
        stalled_readers,
        write_rates,
        pipeline,
        log_head,
        memory,
        compression,
    )
}
# Too long for a quick run.
_LONG: Final = frozenset(
    {compression.NAME, log_head.NAME, memory.NAME, stalled_readers.NAME, write_rates.NAME}
)
_ROUNDS: Final = 15
# The fewest whose median is worth telling.
_QUICK_ROUNDS: Final = 7
# The service's own (app.py): threads that read must not keep the event loop waiting.
_SWITCH_INTERVAL_SECONDS: Final = 0.0005


def main() -> None:
    """Run what was asked for and report."""
    options = _parser().parse_args()
    names = options.only or [n for n in BENCHMARKS if not (options.quick and n in _LONG)]
    rounds = _QUICK_ROUNDS if options.quick else _ROUNDS
    sys.setswitchinterval(_SWITCH_INTERVAL_SECONDS)
    lines: list[Line] = []
    with running_server() as server:
        folder = server.folder.parent / "files"
        folder.mkdir()
        folder.chmod(0o755)  # PostgreSQL's account reads there
        setting = Setting(server, Databases(server), folder, rounds, options.quick)
        machine = describe(setting)
        for name in names:
            started = time.monotonic()
            lines += asyncio.run(_run(BENCHMARKS[name], setting))
            print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)  # noqa: T201
    print_report(machine, lines, rounds)
    if options.json:
        write_json(options.json, machine, lines, rounds)


async def _run(benchmark: Benchmark, setting: Setting) -> list[Line]:
    return await benchmark(setting)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure the service.")
    parser.add_argument(
        "--quick", action="store_true", help="fewest rounds, nothing long: under two minutes"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=list(BENCHMARKS),
        metavar="NAME",
        help=f"only this benchmark; may be repeated: {', '.join(BENCHMARKS)}",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    return parser


if __name__ == "__main__":
    main()
