"""Files of bars for tests: made of text or rows, and read as an import reads them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet

from marketdata.domain.timeframe import Timeframe
from marketdata.providers.files.bar_file import BarFile
from marketdata.providers.files.blocks import BarBlock
from marketdata.providers.files.fields import FileKind
from marketdata.providers.files.mapping import parse_assignments
from marketdata.providers.files.options import CsvDialect, FileOptions
from tests.support.bars import Bar, bars_of

# After every bar of the tests.
NOW_US: Final = 1_900_000_000_000_000
_DIALECT: Final = tuple(field.name for field in fields(CsvDialect))
HEADER: Final = "Date,Open,High,Low,Close,Volume"


@dataclass(frozen=True)
class ReadFile:
    """What was read of a file.

    Attributes
    ----------
    bars : list of Bar
        The good ones, feeds as keys into `feeds`.
    lines : list of int
        Where the row of each bar begins.
    rejected : list of (int, str, str, str)
        Line, rule, field and value of each rejected row, by line.
    """

    bars: list[Bar]
    lines: list[int]
    rejected: list[tuple[int, str, str, str]]
    rows: int
    duplicates: int
    rejected_rows: int
    feeds: tuple[str, ...]
    epoch_unit: str | None


def file_options(timeframe: str = "1d", *assignments: str, **options: Any) -> FileOptions:
    """Make options; the symbol of all rows is AAPL unless another is given, or None."""
    dialect = {name: options.pop(name) for name in _DIALECT if name in options}
    chosen = {"symbol": "AAPL", "dialect": CsvDialect(**dialect), **options}
    return FileOptions(Timeframe(timeframe), parse_assignments(assignments), **chosen)


def read_file(path: Path, kind: FileKind, options: FileOptions) -> ReadFile:
    """Read a file to its end."""
    with BarFile(path, kind, options) as file:
        blocks = list(file.blocks(NOW_US))
        return ReadFile(
            bars=[bar for block in blocks for bar in bars_of(block.frame)],
            lines=[line for block in blocks for line in block.lines.tolist()],
            rejected=sorted(rejected for block in blocks for rejected in _rejected(block)),
            rows=sum(block.rows for block in blocks),
            duplicates=sum(block.duplicates for block in blocks),
            rejected_rows=sum(block.rejected_rows for block in blocks),
            feeds=tuple(dict.fromkeys(n for b in blocks for n in b.frame.feeds.values())),
            epoch_unit=file.epoch_unit,
        )


def read_csv(
    folder: Path, content: str | bytes, *assignments: str, timeframe: str = "1d", **options: Any
) -> ReadFile:
    """Read a CSV file of this content."""
    path = folder / "bars.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_file(path, FileKind.CSV, file_options(timeframe, *assignments, **options))


def read_parquet(
    folder: Path, table: pa.Table, *assignments: str, timeframe: str = "1d", **options: Any
) -> ReadFile:
    """Read a Parquet file of this table."""
    path = folder / "bars.parquet"
    pyarrow.parquet.write_table(table, path, row_group_size=2)
    return read_file(path, FileKind.PARQUET, file_options(timeframe, *assignments, **options))


def rows_of(*rows: Sequence[object], header: str = HEADER) -> str:
    """Write rows below a header."""
    return "\n".join([header, *(",".join(str(cell) for cell in row) for row in rows)]) + "\n"


def _rejected(block: BarBlock) -> list[tuple[int, str, str, str]]:
    return [
        (line, group.rule, group.field, value)
        for group in block.rejected
        for line, value in zip(group.lines.tolist(), group.values, strict=True)
    ]
