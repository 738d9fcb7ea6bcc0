"""What a run prints and writes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from tests.benchmarks.sampling import Line

# A table is read in a terminal or in a log: the log gets the same width.
_WIDTH: Final = 140
_DECIMALS_BELOW: Final = 100


def print_report(machine: Mapping[str, str], lines: Sequence[Line], rounds: int) -> None:
    """Print the machine and all lines in one table."""
    console = Console(width=_WIDTH, highlight=False)
    for name, value in machine.items():
        console.print(f"{name}: {value}", soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, title=f"Medians of {rounds} rounds", title_justify="left")
    for heading in ("benchmark", "case"):
        table.add_column(heading, overflow="fold")
    for heading in ("ours", "other side", "unit", "ratio", "quartiles", "bound", ""):
        table.add_column(heading, justify="left" if heading == "unit" else "right", no_wrap=True)
    previous = ""
    for line in lines:
        table.add_row(line.benchmark if line.benchmark != previous else "", *_cells(line))
        previous = line.benchmark
    console.print(table)
    bounded = [line for line in lines if line.bound is not None]
    console.print(f"{sum(line.is_kept is True for line in bounded)} of {len(bounded)} bounds are kept.")


def write_json(path: Path, machine: Mapping[str, str], lines: Sequence[Line], rounds: int) -> None:
    """Write everything that was measured: the ratios, the medians behind them, the samples."""
    report = {
        "machine": machine,
        "rounds": rounds,
        "lines": [{**asdict(line), "kept": line.is_kept} for line in lines],
    }
    path.write_text(json.dumps(report, indent=1) + "\n")


def _cells(line: Line) -> list[str]:
    show: Any = _number if line.ratio is None else "{:.2f}".format
    return [
        line.case,
        _number(line.ours),
        "" if line.peer is None else _number(line.peer),
        line.unit,
        "" if line.ratio is None else f"{line.ratio:.2f}",
        " to ".join(show(quartile) for quartile in line.quartiles),
        _bound(line),
        {None: "", True: "kept", False: "MISSED"}[line.is_kept],
    ]


def _bound(line: Line) -> str:
    if line.bound is None:
        return ""
    return f"{'≤' if line.bound.is_limit else '≥'} {line.bound.value:g}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= _DECIMALS_BELOW else f"{value:.2f}"
