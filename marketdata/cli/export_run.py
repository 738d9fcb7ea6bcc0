"""What ``marketdata export`` does; it needs pyarrow, an extra."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import typer
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from marketdata.cli.connection import connected
from marketdata.cli.output import ERR
from marketdata.cli.rows import INTERRUPTED, piped
from marketdata.cli.texts import named
from marketdata.client import BarStream, RetryPolicy
from marketdata.client.times import AsOfPoint
from marketdata.domain.bars import BarFrame
from marketdata.domain.calendar import SessionHours
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import BarFileError, SymbolNotFoundError
from marketdata.providers.files.bar_sink import BarSink, open_sink, stream_sink
from marketdata.providers.files.fields import FileKind

_STANDARD_OUTPUT: Final = Path("-")


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export, and where to.

    Attributes
    ----------
    symbols : sequence of str
        Tickers; the file has them in this order.
    timeframe : Timeframe
        What each bar covers.
    start, end : datetime or None
        Half-open, UTC; None: all there is, up to now.
    as_of : int, datetime or None
        When it was known; None: now.
    output : Path
        The file; ``-`` is standard output.
    kind : FileKind or None
        What to write; None: told by the suffix of `output`.
    address : str or None
        ``host:port`` of the service; None: as the settings have it.
    """

    symbols: Sequence[str]
    timeframe: Timeframe
    start: datetime | None
    end: datetime | None
    as_of: AsOfPoint | None
    output: Path
    kind: FileKind | None
    address: str | None


def run_export(request: ExportRequest) -> None:
    """Export bars and say how many they were."""
    kind = _kind(request)
    counts: Counter[str] = Counter()
    try:
        with piped():
            asyncio.run(_export(request, kind, counts))
    except KeyboardInterrupt:
        ERR.print("Interrupted. There is no new file.")
        raise typer.Exit(INTERRUPTED) from None
    _say_counts(request, counts)


def _kind(request: ExportRequest) -> FileKind:
    output, kind = request.output, request.kind
    if output == _STANDARD_OUTPUT:
        if kind is FileKind.PARQUET:
            raise BarFileError("--output -: only CSV goes to standard output; give a file")
        return FileKind.CSV
    suffix = output.suffix.removeprefix(".").casefold()
    kind = kind or next((kind for kind in FileKind if kind.value == suffix), None)
    if kind is None:
        known = " or ".join(f".{kind.value}" for kind in FileKind)
        raise BarFileError(f"--output {output}: let its name end with {known}, or give --format")
    return kind


async def _export(request: ExportRequest, kind: FileKind, counts: Counter[str]) -> None:
    # The client's own patience: a service that is restarted must not cost the rest of a long answer.
    async with (
        connected(request.address, RetryPolicy()) as client,
        client.stream_bars(
            list(dict.fromkeys(request.symbols)),
            request.timeframe,
            request.start,
            request.end,
            session=SessionHours.ALL,
            as_of=request.as_of,
        ) as stream,
    ):
        # Before there is a file: the first answer tells which symbols are not known, and a mistyped
        # one must not be left out without a word.
        frame = await anext(stream, None)
        _refuse_unknown(stream)
        with _shown() as show, _opened(request, kind) as sink:
            while frame is not None:
                sink.write(frame)
                counts.update(_bars_by_symbol(frame))
                show(f"{counts.total():,} bars")
                frame = await anext(stream, None)


def _refuse_unknown(stream: BarStream) -> None:
    unknown = stream.applied.unresolved_symbols if stream.applied else ()
    if unknown:
        raise SymbolNotFoundError(f"{named(unknown)}: no such symbol is known")


@contextmanager
def _shown() -> Iterator[Callable[[str], None]]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    bar = Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal)
    with bar as progress:
        task = progress.add_task("exporting", total=None)
        yield lambda text: progress.update(task, description=text)


def _bars_by_symbol(frame: BarFrame) -> dict[str, int]:
    bars = np.bincount(frame.row_symbol_index(), minlength=len(frame.symbols))
    return dict(zip(frame.symbols, bars.tolist(), strict=True))


@contextmanager
def _opened(request: ExportRequest, kind: FileKind) -> Iterator[BarSink]:
    if request.output != _STANDARD_OUTPUT:
        with open_sink(request.output, kind, request.timeframe) as sink:
            yield sink
        return
    sink = stream_sink(sys.stdout.buffer, kind, request.timeframe)
    yield sink
    sink.finish()
    sys.stdout.buffer.flush()


def _say_counts(request: ExportRequest, counts: Counter[str]) -> None:
    where = "" if request.output == _STANDARD_OUTPUT else f" in {escape(str(request.output))}"
    ERR.print(f"{counts.total():,} {request.timeframe.value} bars{where}", soft_wrap=True)
    empty = [symbol for symbol in request.symbols if not counts[symbol]]
    if empty:
        ERR.print(f"No bars in this range: {named(empty)}", soft_wrap=True)
