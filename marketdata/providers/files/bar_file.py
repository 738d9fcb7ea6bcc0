"""A file of bars, opened: its columns are known, its bars come block by block."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from marketdata.errors import BarFileError
from marketdata.providers.files.blocks import BarBlock
from marketdata.providers.files.check import check_block
from marketdata.providers.files.csv_source import CsvSource
from marketdata.providers.files.fields import FileKind
from marketdata.providers.files.mapping import ColumnMap, map_columns
from marketdata.providers.files.options import FileOptions, check_options
from marketdata.providers.files.parquet_source import ParquetSource
from marketdata.providers.files.parse import BlockParser


class BarFile:
    """Reads a file of bars; a context manager that closes it.

    Parameters
    ----------
    path : Path
        The file.
    kind : FileKind
        What it is.
    options : FileOptions
        How to read it.

    Attributes
    ----------
    kind : FileKind
        What it is.
    columns : ColumnMap
        What was recognised.
    size, unit : int, str
        How much there is to read: bytes of a CSV file as it is stored, rows of a Parquet file.
    line_name : str
        What the numbers of rejected rows count: ``line`` or ``row``.

    Raises
    ------
    BarFileError
        An option is wrong, the file cannot be read, or a column is missing.
    """

    def __init__(self, path: Path, kind: FileKind, options: FileOptions) -> None:
        check_options(options)
        self._options = options
        self.kind = kind
        with ExitStack() as stack:
            self._source: CsvSource | ParquetSource = (
                CsvSource(path, options.dialect) if kind is FileKind.CSV else ParquetSource(path)
            )
            stack.enter_context(self._source)
            self.columns: ColumnMap = _mapped(path.name, self._source.headers, options)
            self._parser = BlockParser(self.columns, options)
            self._stack = stack.pop_all()
        self.size: int = self._source.size
        self.unit: str = self._source.unit
        self.line_name: str = self._source.line_name

    def __enter__(self) -> Self:
        """Return the file; it is open already."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the file."""
        self._stack.close()

    @property
    def epoch_unit(self) -> str | None:
        """Unit of times that are numbers since the Unix epoch; None where there were none yet."""
        return self._parser.epoch_unit

    def blocks(self, now_us: int) -> Iterator[BarBlock]:
        """Read the bars once, in bounded memory.

        Blocks, and works on each for some 100 ms: an event loop takes them in a thread.

        Parameters
        ----------
        now_us : int
            Unix microseconds. Bars that have not ended by then are rejected.

        Raises
        ------
        BarFileError
            The rest of the file cannot be read, or a column is of a type that its field cannot have.
        """
        for raw in self._source.blocks(frozenset(self.columns.positions.values())):
            yield check_block(self._parser.parse(raw), self._options.timeframe, now_us)


def _mapped(name: str, headers: tuple[str, ...], options: FileOptions) -> ColumnMap:
    try:
        return map_columns(headers, options.assigned, has_one_symbol=options.symbol is not None)
    except BarFileError as error:
        raise BarFileError(f"{name}: {error}") from None
