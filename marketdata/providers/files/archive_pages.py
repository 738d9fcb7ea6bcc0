"""Pages of bars out of a file of the archive: blocking, in bounded memory."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from marketdata.domain.bars import BarFlag, BarFrame, Int64Array
from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.time_range import TimeRange, from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import BarFileError, ProviderAnswerError
from marketdata.providers.files.archive import ArchivedFile, file_name
from marketdata.providers.files.archive_end import first_missing_session
from marketdata.providers.files.csv_source import CsvSource
from marketdata.providers.files.fields import FileField, FileKind, recognise
from marketdata.providers.files.mapping import ColumnMap, map_columns
from marketdata.providers.files.options import CsvDialect, FileOptions, check_options
from marketdata.providers.files.parquet_source import ParquetSource
from marketdata.providers.files.parse import BlockParser
from marketdata.providers.files.rejections import RejectedRows, first_rows
from marketdata.providers.files.written_times import UTC_NAME
from marketdata.providers.frames import cut, have_ended
from marketdata.providers.protocol import BarsPage, BarsRequest

FEED: Final = "files/archive"
_MOST_BARS: Final = 50_000
# What is to be done here about what an import has options for.
_REMEDIES: Final = {
    "NOT_A_TIME": "is no time that can be read without guessing; write 2024-01-02 or 2024-01-02T14:30Z",
    "NO_TIME_OF_DAY": "has no time of day; daily bars belong into the folder 1d",
}
_NEEDED: Final = (
    "it needs time (or date), open, high, low and close, and may have volume, vwap and trade_count;"
    " name them so in its first line"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What is to be read, and what has to be known for it.

    Attributes
    ----------
    request : BarsRequest
        Whose bars, and which.
    calendar : SessionCalendar
        Of the symbol.
    asked_us : int
        Unix microseconds; what had not ended then is forming.
    most_bars : int
        Most bars of a page.
    """

    request: BarsRequest
    calendar: SessionCalendar
    asked_us: int
    most_bars: int = _MOST_BARS


def read_pages(file: ArchivedFile, reading: Reading) -> Generator[BarsPage]:
    """Read the bars of a range, page by page.

    Blocks, and works on a block for some 100 ms. Rows of a block may stand in any order; from one block
    to the next (65,536 rows of CSV, 131,072 of Parquet) times ascend, since pages do.

    Raises
    ------
    ProviderAnswerError
        A row cannot be read, is of another symbol, or stands in the wrong place: says where, and what
        to do. Or, behind the last page, that the file does not reach as far as was asked.
    ProviderUnavailableError
        The file is being written.
    """
    file.check_settled(reading.asked_us)
    reached_us, end_us = reading.request.range.start_us, reading.request.range.end_us
    waiting: BarFrame | None = None
    # As if it ended there: nothing before the range matters.
    latest_us = reached_us - reading.request.timeframe.duration_us
    for frame in _frames(file, reading):
        latest_us = int(frame.time_us[-1])
        for part in _parts(cut(frame, reading.request.range), reading.most_bars):
            if waiting is not None:
                behind_us = int(part.time_us[0])
                file.check_unchanged()
                yield BarsPage(waiting, TimeRange(reached_us, behind_us))
                reached_us = behind_us
            waiting = part
    file.check_unchanged()
    problem = _end_problem(file, reading, latest_us)
    if problem is not None:
        behind_us = latest_us + reading.request.timeframe.duration_us
        end_us = min(end_us, max(reached_us, behind_us))
    last = BarFrame.empty((reading.request.symbol.symbol,)) if waiting is None else waiting
    yield BarsPage(last, TimeRange(reached_us, end_us))
    if problem is not None:
        raise problem


def _end_problem(file: ArchivedFile, reading: Reading, latest_us: int) -> ProviderAnswerError | None:
    request = reading.request
    until_us = min(request.range.end_us, reading.asked_us)
    missing = first_missing_session(reading.calendar, request.timeframe, latest_us, until_us)
    if missing is None:
        return None
    return ProviderAnswerError(
        f"{file.shown} has nothing from {missing} on; what is before is fetched. Add the rest and fetch"
        f" again, or ask up to then: --end {missing}"
    )


def _frames(file: ArchivedFile, reading: Reading) -> Iterator[BarFrame]:
    """Yield the bars of each block, ascending, from the beginning of the file on."""
    request = reading.request
    with _told(file), _opened(file) as source:
        columns, options = _columns(file, source.headers, request)
        parser = BlockParser(columns, options)
        latest_us: int | None = None
        for raw in source.blocks(frozenset(columns.positions.values())):
            block = parser.parse(raw)
            _refuse_rows(file, source.line_name, block.rejected)
            order = np.argsort(block.frame.time_us, kind="stable")
            frame, lines = block.frame.take(order), block.lines[order]
            if not len(frame):
                continue
            first_us = int(frame.time_us[0])
            if latest_us is not None and first_us <= latest_us:
                _refuse_order(file, f"{source.line_name} {lines[0]}", first_us, latest_us)
            latest_us = int(frame.time_us[-1])
            yield _own(file, source.line_name, frame, lines, reading)


def _own(
    file: ArchivedFile, line_name: str, frame: BarFrame, lines: Int64Array, reading: Reading
) -> BarFrame:
    """Make bars of a file those of the symbol, FINAL where they have ended."""
    symbol = reading.request.symbol.symbol
    names = (symbol, file_name(reading.request.symbol))
    others = [other for other in frame.symbols if other not in names]
    if others:
        row = int(np.flatnonzero(frame.row_symbol_index() == frame.symbols.index(others[0]))[0])
        raise ProviderAnswerError(
            f"{file.shown}, {line_name} {lines[row]}: is of {others[0]}, and the file is {symbol}'s;"
            " give each symbol a file"
        )
    derived = np.flatnonzero(frame.flags & BarFlag.DERIVED)
    if len(derived):
        raise ProviderAnswerError(
            f"{file.shown}, {line_name} {lines[derived[0]]}: is rolled up from finer bars by its flags;"
            " keep those instead"
        )
    times = frame.time_us
    has_ended = have_ended(reading.request.timeframe, times, reading.calendar, reading.asked_us)
    flags = np.where(has_ended, frame.flags & BarFlag.FINAL, 0).astype(np.int16)
    none = np.empty(0, np.int32)
    return replace(frame, symbols=(symbol,), symbol_index=none, flags=flags)


def _opened(file: ArchivedFile) -> CsvSource | ParquetSource:
    if file.kind is FileKind.CSV:
        return CsvSource(file.path, CsvDialect())
    return ParquetSource(file.path)


def _columns(
    file: ArchivedFile, headers: tuple[str, ...], request: BarsRequest
) -> tuple[ColumnMap, FileOptions]:
    has_symbols = FileField.SYMBOL in recognise(headers)
    is_daily = request.timeframe is Timeframe.DAY_1
    options = FileOptions(
        request.timeframe,
        symbol=None if has_symbols else request.symbol.symbol,
        feed=FEED,
        # A daily bar at midnight of the exchange, written in UTC, names the date there.
        time_zone=request.symbol.time_zone if is_daily else UTC_NAME,
    )
    check_options(options)
    try:
        return map_columns(headers, {}, has_one_symbol=not has_symbols), options
    except BarFileError:
        named = ", ".join(headers)[:200]
        raise ProviderAnswerError(f"the columns of {file.shown} are {named}; {_NEEDED}") from None


def _refuse_rows(file: ArchivedFile, line_name: str, rejected: Sequence[RejectedRows]) -> None:
    rows = first_rows(rejected, 1)
    if not rows:
        return
    row = rows[0]
    why = _REMEDIES.get(row.rule, row.description)
    cell = f"{row.field} {row.value!r}" if row.field else repr(row.value)
    raise ProviderAnswerError(
        f"{file.shown}, {line_name} {row.line}: {cell} {why}; correct the file and fetch again"
    )


def _refuse_order(file: ArchivedFile, where: str, first_us: int, latest_us: int) -> None:
    first, latest = (f"{from_unix_us(moment_us):%Y-%m-%d %H:%M}" for moment_us in (first_us, latest_us))
    raise ProviderAnswerError(
        f"{file.shown}, {where}: {first} UTC stands behind {latest}; sort the rows of a large file by"
        " time, each once"
    )


def _parts(frame: BarFrame, most_bars: int) -> Iterator[BarFrame]:
    """Cut ascending bars into parts, never between two of the same time."""
    start = 0
    while start < len(frame):
        end = min(start + most_bars, len(frame))
        if end < len(frame):
            end = int(np.searchsorted(frame.time_us, frame.time_us[end], side="left"))
            if end <= start:
                raise ProviderAnswerError(
                    f"more than {most_bars} rows are of one time; keep one of each"
                )
        yield frame.take(slice(start, end))
        start = end


@contextmanager
def _told(file: ArchivedFile) -> Iterator[Any]:
    try:
        yield
    except BarFileError as error:
        problem = ProviderAnswerError(f"{file.shown}: {error}; write the file anew")
    else:
        return
    raise problem
