"""Times out of text, as columns: every row on its own, the impossible ones marked."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from marketdata.domain.bars import Int64Array
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND
from marketdata.providers.files.cells import as_mask
from marketdata.providers.files.time_patterns import ISO_PATTERN, TimePattern
from marketdata.providers.files.written_times import WrittenTimeKind, WrittenTimes

_MONTHS: Final = pa.array(
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
)
# Two digits of a year, as POSIX reads them: 69 to 99 are of the last century.
_FIRST_SHORT_YEAR: Final = 69
_DATE_BYTES: Final = len("2024-01-02")
_MINUTE_BYTES: Final = len("2024-01-02T14:30")

_Fields = Mapping[str, Int64Array]


def read_iso_times(text: pa.Array) -> WrittenTimes:
    """Read times in ISO 8601.

    Parameters
    ----------
    text : StringArray
        Trimmed; null where there is nothing.

    Returns
    -------
    WrittenTimes
        UNREADABLE where the text is none of the forms of `ISO_PATTERN`, or no date of the calendar.
    """
    # Casting a whole column costs a tenth of taking its texts apart, and works for most files.
    lengths = pc.min_max(pc.binary_length(text)).as_py()
    if lengths["max"] == _DATE_BYTES or (lengths["min"] or 0) >= _MINUTE_BYTES:
        try:
            wall = text.cast(pa.timestamp("us"))
        except pa.ArrowInvalid:
            return read_times(text, ISO_PATTERN)
        is_date = lengths["max"] == _DATE_BYTES
        kind = WrittenTimeKind.DATE if is_date else WrittenTimeKind.LOCAL
        return WrittenTimes.of_arrow(wall, kind)
    return read_times(text, ISO_PATTERN)


def read_times(text: pa.Array, pattern: TimePattern) -> WrittenTimes:
    """Read times that are written by `pattern`; parameters and result as `read_iso_times`."""
    parts = pc.extract_regex(text, pattern.regex)
    matched = as_mask(parts.is_valid())
    fields = _Parts(parts)
    days, is_date = _days(fields, pattern.groups)
    clock_us, is_clock = _clock_us(fields, pattern.groups)
    wall_us = days * MICROSECONDS_PER_DAY + clock_us
    has_clock = fields.given("hour") | fields.given("half_day_hour")
    has_zone = fields.given("zone")
    kind = np.full(len(text), WrittenTimeKind.DATE, np.int8)
    kind[has_clock] = WrittenTimeKind.LOCAL
    kind[has_zone] = WrittenTimeKind.INSTANT
    kind[~(matched & is_date & is_clock)] = WrittenTimeKind.UNREADABLE
    return WrittenTimes(kind, wall_us, wall_us - _offset_us(fields))


class _Parts:
    """Groups of a match as numbers: the default where a group is not there or took no part."""

    def __init__(self, parts: pa.Array) -> None:
        self._parts = parts
        self._names = frozenset(field.name for field in parts.type)

    def text(self, name: str) -> pa.Array:
        if name not in self._names:
            return pa.array([""]).take(pa.array(np.zeros(len(self._parts), np.int64)))
        return pc.fill_null(self._parts.field(name).cast(pa.string()), "")

    def given(self, name: str) -> npt.NDArray[np.bool_]:
        if name not in self._names:
            return np.zeros(len(self._parts), np.bool_)
        return as_mask(pc.greater(pc.binary_length(self.text(name)), 0))

    def number(self, name: str, default: int = 0) -> Int64Array:
        if name not in self._names:
            return np.full(len(self._parts), default, np.int64)
        digits = self.text(name)
        digits = pc.if_else(pc.equal(pc.binary_length(digits), 0), str(default), digits)
        values: Int64Array = digits.cast(pa.int64()).to_numpy()
        return values


def _days(parts: _Parts, groups: frozenset[str]) -> tuple[Int64Array, npt.NDArray[np.bool_]]:
    year = parts.number("year", 1970)
    if "short_year" in groups:
        short = parts.number("short_year")
        year = np.where(short >= _FIRST_SHORT_YEAR, 1900, 2000) + short
    month = parts.number("month", 1)
    if "month_name" in groups:
        names = pc.utf8_lower(parts.text("month_name"))
        month = pc.fill_null(pc.index_in(names, _MONTHS), -1).to_numpy().astype(np.int64) + 1
    day = parts.number("day", 1)
    months: Any = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days: Any = months.astype("datetime64[D]") + (day - 1)
    is_date = (month >= 1) & (month <= 12) & (day >= 1) & (days.astype("datetime64[M]") == months)  # noqa: PLR2004 -- months
    return days.astype(np.int64), is_date


def _clock_us(parts: _Parts, groups: frozenset[str]) -> tuple[Int64Array, npt.NDArray[np.bool_]]:
    hour, most_hours = parts.number("hour"), 23
    minute, second = parts.number("minute"), parts.number("second")
    is_clock = (hour <= most_hours) & (minute <= 59) & (second <= 59)  # noqa: PLR2004 -- a clock's
    if "half" in groups:
        half_day_hour = parts.number("half_day_hour", 12)
        is_clock &= (half_day_hour >= 1) & (half_day_hour <= 12)  # noqa: PLR2004 -- a clock's
        is_afternoon = as_mask(pc.equal(pc.utf8_lower(parts.text("half")), "pm"))
        hour = half_day_hour % 12 + np.where(is_afternoon, 12, 0)
    digits = pc.utf8_slice_codeunits(
        pc.binary_join_element_wise(parts.text("fraction"), "000000", ""), 0, 6
    )
    fraction_us = digits.cast(pa.int64()).to_numpy()
    seconds = (hour * 60 + minute) * 60 + second
    return seconds * MICROSECONDS_PER_SECOND + fraction_us, is_clock


def _offset_us(parts: _Parts) -> Int64Array:
    minutes = parts.number("zone_hour") * 60 + parts.number("zone_minute")
    is_west = as_mask(pc.equal(parts.text("sign"), "-"))
    return np.where(is_west, -minutes, minutes) * (60 * MICROSECONDS_PER_SECOND)
