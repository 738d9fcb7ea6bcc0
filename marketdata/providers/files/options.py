"""How a file is to be read: what a person said about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from marketdata.domain.symbol import symbol_problem
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import BarFileError
from marketdata.providers.files.fields import FileField
from marketdata.providers.files.written_times import UTC_NAME

_DECIMALS: Final = (".", ",")


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """How a CSV file is written.

    Attributes
    ----------
    delimiter : str or None
        One character between the cells; None: told from the first line.
    decimal : str
        ``.`` or ``,``: what parts the fraction of numbers. It holds for text in other files, too.
    has_header : bool
        Whether the first line names the columns.
    """

    delimiter: str | None = None
    decimal: str = "."
    has_header: bool = True


@dataclass(frozen=True, slots=True)
class FileOptions:
    """What is said of a file of bars.

    Attributes
    ----------
    timeframe : Timeframe
        What each bar covers; one that is stored.
    assigned : mapping of FileField to str
        Columns that are not to be recognised by their headers, see `map_columns`.
    symbol : str or None
        Symbol of all rows; None: the file has a column of symbols.
    feed : str or None
        Feed of all rows (``provider/feed``); None: the file's column of feeds, else `DEFAULT_FEED`.
    time_zone : str
        IANA name; where times without an offset are at home.
    time_format : str or None
        How times are written, see `TimeReader`.
    dialect : CsvDialect
        How a CSV file is written.
    """

    timeframe: Timeframe
    assigned: Mapping[FileField, str] = field(default_factory=dict)
    symbol: str | None = None
    feed: str | None = None
    time_zone: str = UTC_NAME
    time_format: str | None = None
    dialect: CsvDialect = field(default_factory=CsvDialect)


def check_options(options: FileOptions) -> None:
    """Refuse what no file can be read with.

    Raises
    ------
    BarFileError
        Says which option is wrong.
    """
    if not options.timeframe.is_stored:
        stored = ", ".join(timeframe.value for timeframe in Timeframe if timeframe.is_stored)
        raise BarFileError(
            f"--timeframe {options.timeframe.value}: such bars are made from finer ones when they are"
            f" read; import one of {stored}"
        )
    if options.symbol is not None and (problem := symbol_problem(options.symbol)):
        raise BarFileError(f"--symbol {options.symbol} {problem}")
    _check_dialect(options.dialect)
    _check_time_zone(options.time_zone)


def _check_dialect(dialect: CsvDialect) -> None:
    if dialect.decimal not in _DECIMALS:
        raise BarFileError(f"--decimal {dialect.decimal}: is . or ,")
    if dialect.delimiter is not None and len(dialect.delimiter.encode()) != 1:
        raise BarFileError(f"--delimiter {dialect.delimiter}: is one character, such as ; or a tab")
    if dialect.delimiter == dialect.decimal:
        raise BarFileError(f"--delimiter and --decimal are both {dialect.decimal}")


def _check_time_zone(time_zone: str) -> None:
    if time_zone == UTC_NAME:
        return
    try:
        # Asked of pyarrow, who will use it: it has a time zone database of its own.
        pc.assume_timezone(pa.array([0]).cast(pa.timestamp("us")), time_zone)
    except pa.ArrowInvalid:
        raise BarFileError(
            f"--time-zone {time_zone}: is not known here; give a name such as America/New_York"
            " (a machine without any needs its package tzdata)"
        ) from None
