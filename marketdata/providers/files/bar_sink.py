"""Files of bars, written batch by batch; only a complete one ever has its name."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import BarFileError
from marketdata.providers.files.arrow_batch import csv_batch, file_schema, to_record_batch
from marketdata.providers.files.fields import FileKind

# Each group has statistics and encodings of its own: small ones make large files that read slowly,
# and one group is held in memory.
_ROWS_A_GROUP: Final = 131_072


class BarSink(Protocol):
    """Takes bars."""

    def write(self, frame: BarFrame) -> None:
        """Write the bars of a frame with all columns."""
        ...

    def finish(self) -> None:
        """Write what is left, and what a file ends with."""
        ...

    def abandon(self) -> None:
        """Let go of the stream, whether it is finished or not; it must still be open."""
        ...


@contextmanager
def open_sink(path: Path, kind: FileKind, timeframe: Timeframe) -> Iterator[BarSink]:
    """Write a file beside `path`, and give it that name at the end of the context.

    Where the context ends with an error nothing is left of it, and a file that had the name before
    stays as it was.

    Raises
    ------
    BarFileError
        The file cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    with ExitStack() as stack, _explained(path):
        stack.callback(unfinished.unlink, missing_ok=True)
        with unfinished.open("wb") as stream:
            sink = stream_sink(stream, kind, timeframe)
            try:
                yield sink
                sink.finish()
            finally:
                sink.abandon()
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(path)


def stream_sink(stream: BinaryIO, kind: FileKind, timeframe: Timeframe) -> BarSink:
    """Write bars to an open stream, which stays the caller's.

    The failures of the stream are its own: nothing is translated.
    """
    if kind is FileKind.CSV:
        return _CsvSink(stream, timeframe)
    return _ParquetSink(stream, timeframe)


class _CsvSink:
    """Writes floats in the shortest form that reads back exactly."""

    def __init__(self, stream: BinaryIO, timeframe: Timeframe) -> None:
        self._stream = stream
        self._timeframe = timeframe
        # Symbols, feeds and numbers have nothing to quote; a value that has fails the export.
        self._options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
        stream.write(f"{','.join(file_schema(timeframe).names)}\n".encode())

    def write(self, frame: BarFrame) -> None:
        buffer = pa.BufferOutputStream()
        batch = csv_batch(to_record_batch(frame, self._timeframe))
        pyarrow.csv.write_csv(batch, buffer, self._options)
        self._stream.write(buffer.getvalue())

    def finish(self) -> None:
        """Do nothing: a CSV file has no end of its own."""

    def abandon(self) -> None:
        """Do nothing: nothing is held."""


class _ParquetSink:
    """Writes groups of some 100,000 rows."""

    def __init__(self, stream: BinaryIO, timeframe: Timeframe) -> None:
        self._timeframe = timeframe
        self._schema = file_schema(timeframe)
        self._writer: Any = pyarrow.parquet.ParquetWriter(stream, self._schema, compression="zstd")
        self._batches: list[pa.RecordBatch] = []
        self._rows = 0

    def write(self, frame: BarFrame) -> None:
        self._batches.append(to_record_batch(frame, self._timeframe))
        self._rows += len(frame)
        if self._rows >= _ROWS_A_GROUP:
            self._write_group()

    def finish(self) -> None:
        if self._rows:
            self._write_group()
        self._writer.close()

    def abandon(self) -> None:
        # A writer that is still open closes itself when it is collected, into whatever is left.
        with suppress(OSError, pa.ArrowException):
            self._writer.close()
        self._writer.is_open = False

    def _write_group(self) -> None:
        self._writer.write_table(pa.Table.from_batches(self._batches), row_group_size=self._rows)
        self._batches, self._rows = [], 0


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BarFileError(f"{path} cannot be written: {error.strerror or error}") from error
