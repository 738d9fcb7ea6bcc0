"""Rows of a file turned into bars: pure, no loop per row."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from marketdata.domain.bars import BarColumn, BarFlag, BarFrame, Int64Array, full_columns
from marketdata.domain.feed import DEFAULT_FEED
from marketdata.domain.symbol import symbol_problem
from marketdata.errors import BarFileError
from marketdata.providers.files.blocks import BarBlock, RawBlock
from marketdata.providers.files.cells import as_text, empty_cells, shown, shown_text
from marketdata.providers.files.fields import PRICE_FIELDS, FileField
from marketdata.providers.files.labels import Labels, read_labels
from marketdata.providers.files.mapping import ColumnMap
from marketdata.providers.files.numbers import holds_numbers, read_numbers, read_whole_numbers
from marketdata.providers.files.options import FileOptions
from marketdata.providers.files.rejections import RejectedRows
from marketdata.providers.files.times import TimeReader
from marketdata.providers.files.written_times import TIME_RULES, place_times

BoolArray = npt.NDArray[np.bool_]

_DECIMAL_FIELDS: Final = (*PRICE_FIELDS, FileField.VOLUME, FileField.VWAP)
_NUMBER_FIELDS: Final = frozenset({*_DECIMAL_FIELDS, FileField.TRADE_COUNT, FileField.FLAGS})
_NOT_A_NUMBER: Final = "is not a number"
_NOT_A_WHOLE_NUMBER: Final = "is not a whole number"
# A frame numbers its feeds by int16, and no database has nearly as many.
_MOST_FEEDS: Final = 1_000
_FLAG_BITS: Final = int(sum(BarFlag))


class BlockParser:
    """Parses the blocks of one file, in their order.

    Parameters
    ----------
    columns : ColumnMap
        Where each field stands.
    options : FileOptions
        How to read it.
    """

    def __init__(self, columns: ColumnMap, options: FileOptions) -> None:
        self._columns = columns
        self._options = options
        self._times = TimeReader(options.time_format)

    @property
    def epoch_unit(self) -> str | None:
        """Unit of times that are numbers since the Unix epoch; None where there were none yet."""
        return self._times.epoch_unit

    def parse(self, raw: RawBlock) -> BarBlock:
        """Turn rows into bars; those that cannot be read are rejected with every cell to blame.

        Raises
        ------
        BarFileError
            A column is of a type that its field cannot have.
        """
        cells = {field: raw.columns[i] for field, i in self._columns.positions.items()}
        self._check_types(cells)
        lines = raw.lines
        blank = _blank_rows(cells, len(lines))
        if blank.any():
            kept = pa.array(~blank)
            cells = {field: column.filter(kept) for field, column in cells.items()}
            lines = lines[~blank]
        reading = _Reading(cells, lines)
        frame = self._read(reading)
        rejected = [*raw.rejected, *reading.rejected]
        rows = len(lines) + sum(len(group.lines) for group in raw.rejected)
        good = ~reading.bad
        return BarBlock(frame.take(good), lines[good], rejected, rows, position=raw.position)

    def _check_types(self, cells: Mapping[FileField, pa.Array]) -> None:
        for field, column in cells.items():
            is_number = field in _NUMBER_FIELDS
            if pa.types.is_nested(column.type) or (is_number and not holds_numbers(column)):
                header = self._columns.headers[self._columns.positions[field]]
                needed = "numbers are" if is_number else "text is"
                raise BarFileError(f"column {header!r} holds {column.type}; {needed} needed")

    def _read(self, reading: "_Reading") -> BarFrame:
        columns: dict[BarColumn, npt.NDArray[Any]] = {BarColumn.TIME: self._read_times(reading)}
        for field in _DECIMAL_FIELDS:
            if field in reading.cells:
                values, bad = read_numbers(reading.cells[field], self._options.dialect.decimal)
                reading.blame(field, "NOT_A_NUMBER", _NOT_A_NUMBER, bad)
                columns[BarColumn(field.value)] = values
        if FileField.TRADE_COUNT in reading.cells:
            counts, bad = read_whole_numbers(reading.cells[FileField.TRADE_COUNT])
            reading.blame(FileField.TRADE_COUNT, "NOT_A_NUMBER", _NOT_A_WHOLE_NUMBER, bad)
            columns[BarColumn.TRADE_COUNT] = counts
        columns[BarColumn.FLAGS] = _read_flags(reading)
        feeds = self._read_feeds(reading)
        columns[BarColumn.FEED] = feeds.index
        symbols = self._read_symbols(reading)
        return BarFrame(
            symbols=symbols.texts,
            symbol_index=symbols.index,
            feeds=dict(enumerate(feeds.texts)),
            **full_columns(reading.n, columns),
        )

    def _read_times(self, reading: "_Reading") -> npt.NDArray[np.int64]:
        column = reading.cells[FileField.TIME]
        if FileField.DATE in reading.cells:
            column = _joined(reading.cells[FileField.DATE], column)
        written = self._times.read(column)
        placed = place_times(written, self._options.timeframe, self._options.time_zone)
        for rule, bad in placed.problems.items():
            reading.blame(FileField.TIME, rule, TIME_RULES[rule], bad, column)
        return placed.time_us

    def _read_symbols(self, reading: "_Reading") -> Labels:
        if self._options.symbol is not None:
            return Labels.of_one(self._options.symbol, reading.n)
        symbols = read_labels(reading.cells[FileField.SYMBOL])
        for place, text in enumerate(symbols.texts):
            if problem := symbol_problem(text):
                bad = symbols.index == place
                reading.blame(FileField.SYMBOL, "MALFORMED_SYMBOL", problem, bad)
        return symbols

    def _read_feeds(self, reading: "_Reading") -> Labels:
        if self._options.feed is not None or FileField.FEED not in reading.cells:
            return Labels.of_one(self._options.feed or DEFAULT_FEED, reading.n)
        feeds = read_labels(reading.cells[FileField.FEED])
        if len(feeds.texts) > _MOST_FEEDS:
            raise BarFileError(
                f"the column of feeds holds {len(feeds.texts)} different texts, such as"
                f" {shown_text(feeds.texts[-1])!r}; if it holds something else: --map feed="
            )
        return Labels(tuple(text or DEFAULT_FEED for text in feeds.texts), feeds.index)


class _Reading:
    """The cells of a block, and which of them are to blame for what."""

    def __init__(self, cells: Mapping[FileField, pa.Array], lines: Int64Array) -> None:
        self.cells = cells
        self.n = len(lines)
        self.bad: BoolArray = np.zeros(self.n, np.bool_)
        self.rejected: list[RejectedRows] = []
        self._lines = lines

    def blame(
        self,
        field: FileField,
        rule: str,
        description: str,
        bad: BoolArray,
        column: pa.Array | None = None,
    ) -> None:
        if not bad.any():
            return
        self.bad |= bad
        rows = np.flatnonzero(bad)
        values = shown(self.cells[field] if column is None else column, rows)
        self.rejected.append(RejectedRows(rule, field.value, description, self._lines[rows], values))


def _blank_rows(cells: Mapping[FileField, pa.Array], n: int) -> BoolArray:
    # An empty line, and what spreadsheets write below a table: nothing but delimiters.
    blank = np.ones(n, np.bool_)
    for column in cells.values():
        blank &= empty_cells(column)
        if not blank.any():
            break
    return blank


def _joined(dates: pa.Array, times: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(as_text(dates), as_text(times), " ")


def _read_flags(reading: _Reading) -> npt.NDArray[Any]:
    if FileField.FLAGS not in reading.cells:
        return np.full(reading.n, BarFlag.FINAL, np.int16)
    flags, bad = read_whole_numbers(reading.cells[FileField.FLAGS])
    flags = np.where(flags == -1, BarFlag.FINAL, flags)
    unknown = ~bad & ((flags & ~_FLAG_BITS) != 0)
    problem = "has bits that are not known; 1 final, 2 derived, 4 extended session"
    reading.blame(FileField.FLAGS, "NOT_A_NUMBER", _NOT_A_WHOLE_NUMBER, bad)
    reading.blame(FileField.FLAGS, "UNKNOWN_FLAG", problem, unknown)
    return np.where(bad | unknown, BarFlag.FINAL, flags)
