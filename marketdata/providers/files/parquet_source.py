"""Parquet files, block by block."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from marketdata.errors import BarFileError
from marketdata.providers.files.blocks import RawBlock

# As many as a block of a CSV file has, see `csv_source`.
_BLOCK_ROWS: Final = 131_072
# Pages are read through a buffer of this size instead of a row group's whole column: files with a
# single row group of a hundred million rows exist.
_BUFFER_BYTES: Final = 1024 * 1024


class ParquetSource:
    """Reads a Parquet file; a context manager that closes it.

    Parameters
    ----------
    path : Path
        The file.

    Attributes
    ----------
    headers : tuple of str
        Names of the columns.
    size : int
        How many rows it has.

    Raises
    ------
    BarFileError
        The file cannot be read.
    """

    unit: Final = "rows"
    line_name: Final = "row"

    def __init__(self, path: Path) -> None:
        self._name = path.name
        with _explained(path.name, 0):
            self._file = pyarrow.parquet.ParquetFile(
                str(path), buffer_size=_BUFFER_BYTES, pre_buffer=False
            )
        self.headers: tuple[str, ...] = tuple(self._file.schema_arrow.names)
        self.size: int = self._file.metadata.num_rows

    def __enter__(self) -> Self:
        """Return the source; it is open already."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the file."""
        self._file.close()

    def blocks(self, wanted: Collection[int]) -> Iterator[RawBlock]:
        """Read the rows, each column in the type that it is stored in.

        Parameters
        ----------
        wanted : collection of int
            Places of the columns to read.

        Raises
        ------
        BarFileError
            The rest of the file cannot be read; says from which row on.
        """
        places = sorted(wanted)
        names = [self.headers[place] for place in places]
        several = [repr(name) for name in names if self.headers.count(name) > 1]
        if several:
            raise BarFileError(f"{self._name}: several columns are called {', '.join(several)}")
        batches = self._file.iter_batches(_BLOCK_ROWS, columns=names, use_threads=False)
        first = 1
        while True:
            with _explained(self._name, first - 1):
                batch = next(batches, None)
            if batch is None:
                return
            end = first + batch.num_rows
            columns = dict(zip(places, batch.columns, strict=True))
            yield RawBlock(columns, np.arange(first, end), (), end - 1)
            first = end


@contextmanager
def _explained(name: str, rows: int) -> Iterator[None]:
    where = f"{name} cannot be read past row {rows:,}" if rows else f"{name} cannot be read"
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BarFileError(f"{where}: {str(error).splitlines()[0]}") from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise BarFileError(f"{where}: {reason}") from error
