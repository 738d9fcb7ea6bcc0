"""CSV files, block by block."""

import os
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from marketdata.domain.bars import Int64Array
from marketdata.errors import BarFileError
from marketdata.providers.files.blocks import RawBlock, gathered
from marketdata.providers.files.cells import shown_text
from marketdata.providers.files.csv_head import HEAD_BYTES, CsvHead, read_head
from marketdata.providers.files.lines import LineCounter, SkippedRow
from marketdata.providers.files.options import CsvDialect
from marketdata.providers.files.rejections import RejectedRows
from marketdata.providers.files.utf8_stream import Utf8Stream

# What pyarrow takes at a time. It keeps up to 32 of them read ahead, whatever is made of them: with
# 4 MiB, importing any large file took 130 MB more. No row may be longer.
_CHUNK_BYTES: Final = 1024 * 1024
# Enough for the cost of a block to vanish, and a little more than the database takes at a time.
_ROWS_A_BLOCK: Final = 65_536
# Rows without columns pile up while no row with columns comes. So many of them are no accident.
_MOST_SKIPPED_ROWS: Final = 100_000
_SHOWN_CHARACTERS: Final = 200
_COMPRESSIONS: Final = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}


class CsvSource:
    """Reads a CSV file; a context manager that closes it.

    Compressed files are known by their suffix (``.csv.gz``, ``.csv.zst``, …).

    Parameters
    ----------
    path : Path
        The file.
    dialect : CsvDialect
        How it is written.

    Attributes
    ----------
    headers : tuple of str
        Names of the columns; ``#1``, ``#2``, … where the file has no header.
    size : int
        Of the file as it is stored, bytes.

    Raises
    ------
    BarFileError
        The file cannot be read, or has no columns.
    """

    unit: Final = "bytes"
    line_name: Final = "line"

    def __init__(self, path: Path, dialect: CsvDialect) -> None:
        self._name = path.name
        self._skipped: deque[SkippedRow] = deque()
        self._is_compressed = path.suffix.casefold() in _COMPRESSIONS
        # Of the unpacked text, to a chunk: for progress.
        self._read_bytes = 0
        with ExitStack() as stack, _explained(path.name):
            self._raw = stack.enter_context(pa.OSFile(str(path)))
            self.size: int = self._raw.size()
            self._reader, blank_lines = self._open(path, dialect, stack)
            names: list[str] = self._reader.schema.names
            self._stack = stack.pop_all()
        self.headers = tuple(names if dialect.has_header else (f"#{i + 1}" for i in range(len(names))))
        # Where there is no header the names are pyarrow's own.
        breaks = sum(name.count("\n") for name in names)
        self._lines = LineCounter(blank_lines + 1 + dialect.has_header, breaks)

    def __enter__(self) -> Self:
        """Return the source; it is open already."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the file."""
        self._stack.close()

    def blocks(self, wanted: Collection[int]) -> Iterator[RawBlock]:
        """Read the rows, each cell as its bytes.

        Parameters
        ----------
        wanted : collection of int
            Places of the columns to hand over.

        Raises
        ------
        BarFileError
            The rest of the file cannot be read; says from which line on.
        """
        return gathered(self._chunks(wanted), _ROWS_A_BLOCK)

    def _chunks(self, wanted: Collection[int]) -> Iterator[RawBlock]:
        while True:
            with _explained(self._name, self._lines):
                batch = next(self._reader, None)
            if batch is None:
                break
            self._read_bytes += _CHUNK_BYTES
            yield self._block({i: batch.column(i) for i in wanted}, _line_breaks(batch))
        if self._skipped:
            none = dict.fromkeys(wanted, pa.array([], pa.binary()))
            yield self._block(none, np.zeros(0, np.int64), is_last=True)

    def _open(self, path: Path, dialect: CsvDialect, stack: ExitStack) -> tuple[Any, int]:
        compression = _COMPRESSIONS.get(path.suffix.casefold())
        with pa.input_stream(str(path), compression=compression) as beginning:
            content = beginning.read(HEAD_BYTES)
        head = read_head(content, dialect.decimal)
        stream = self._raw
        if compression is not None:
            stream = stack.enter_context(pa.CompressedInputStream(self._raw, compression))
        if head.is_one_line:
            # pyarrow takes a header without a line end for no file at all.
            stream = pa.BufferReader(content + b"\n")
        return stack.enter_context(self._open_reader(stream, head, dialect)), head.blank_lines

    def _open_reader(self, stream: Any, head: CsvHead, dialect: CsvDialect) -> Any:
        return pyarrow.csv.open_csv(
            pa.PythonFile(Utf8Stream(stream), mode="r"),
            read_options=pyarrow.csv.ReadOptions(
                block_size=_CHUNK_BYTES,
                skip_rows=head.blank_lines,
                autogenerate_column_names=not dialect.has_header,
                # Rows have numbers only where one thread reads them. It keeps far ahead of a database.
                use_threads=False,
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=dialect.delimiter or head.delimiter,
                newlines_in_values=True,
                # An empty line would have no number: a row of empty cells is dropped later.
                ignore_empty_lines=False,
                invalid_row_handler=self._skip,
            ),
            # Nothing is converted here: one cell that cannot be would end the reading.
            convert_options=pyarrow.csv.ConvertOptions(default_column_type=pa.binary()),
        )

    def _skip(self, row: Any) -> str:
        if len(self._skipped) >= _MOST_SKIPPED_ROWS:
            return "error"
        text = row.text[:_SHOWN_CHARACTERS]
        breaks = row.text.count("\n")
        self._skipped.append(SkippedRow(row.number, row.actual_columns, breaks, text))
        return "skip"

    def _block(
        self, columns: Mapping[int, Any], breaks: Int64Array, *, is_last: bool = False
    ) -> RawBlock:
        # Reading is ahead of this block: the handler may know rows of the next one already.
        known = list(self._skipped)
        lines, skipped_lines = self._lines.place(breaks, known, is_last=is_last)
        taken = [self._skipped.popleft() for _ in skipped_lines]
        rejected = _rejected(taken, skipped_lines, len(self.headers))
        return RawBlock(columns, lines, rejected, self._position())

    def _position(self) -> int:
        read_ahead: int = self._raw.tell()
        return read_ahead if self._is_compressed else min(read_ahead, self._read_bytes)


def _line_breaks(batch: Any) -> Int64Array:
    breaks = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        breaks += pc.count_substring(column, "\n").to_numpy()
    return breaks


def _rejected(rows: list[SkippedRow], lines: Int64Array, columns: int) -> list[RejectedRows]:
    groups: dict[tuple[int, bool], list[int]] = {}
    for i, row in enumerate(rows):
        groups.setdefault((row.cells, row.breaks > 0), []).append(i)
    return [
        RejectedRows(
            "WRONG_COLUMN_COUNT",
            "",
            _describe(cells, columns, has_breaks=has_breaks),
            lines[where],
            [shown_text(rows[i].text) for i in where],
        )
        for (cells, has_breaks), where in groups.items()
    ]


def _describe(cells: int, columns: int, *, has_breaks: bool) -> str:
    count = f"has {cells} {'cell' if cells == 1 else 'cells'} where there are {columns} columns"
    return f"{count}, and runs over several lines: does a quote not end?" if has_breaks else count


@contextmanager
def _explained(name: str, lines: LineCounter | None = None) -> Iterator[None]:
    where = f"{name} cannot be read past line {lines.line - 1}" if lines else f"{name} cannot be read"
    try:
        yield
    except BarFileError as error:
        raise BarFileError(f"{name} {error}") from error
    except pa.ArrowInvalid as error:
        raise BarFileError(f"{where}: {_explain(str(error))}") from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise BarFileError(f"{where}: {reason}") from error


def _explain(message: str) -> str:
    if "straddling object" in message:
        return "a quote that begins there does not end"
    if "CSV parse error" in message and "columns" in message:
        return (
            f"more than {_MOST_SKIPPED_ROWS:,} rows in succession have another number of cells than"
            " the header; is --delimiter right?"
        )
    return message.splitlines()[0]
