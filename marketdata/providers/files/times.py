"""Times out of cells of any type."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from marketdata.domain.bars import Int64Array
from marketdata.errors import BarFileError
from marketdata.providers.files.cells import as_mask, as_text, is_text
from marketdata.providers.files.time_patterns import parse_time_format
from marketdata.providers.files.time_text import read_iso_times, read_times
from marketdata.providers.files.written_times import WrittenTimeKind, WrittenTimes

# Microseconds a unit; nanoseconds are divided.
_EPOCH_UNITS: Final[Mapping[str, int]] = MappingProxyType(
    {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 0}
)
_NANOSECONDS_PER_MICROSECOND: Final = 1_000
# Below it a usual number of the file is of this unit: seconds reach the year 5138 there, and
# milliseconds of any day after March 1973 lie above.
_UNIT_BOUNDS: Final[Mapping[str, int]] = MappingProxyType({"s": 10**11, "ms": 10**14, "us": 10**17})
# Shorter ones are dates (20240102), or nothing that can be told; int64 ends within 19 digits.
_EPOCH: Final = r"^-?(?:\d{9,18}|[0-8]\d{18})(?:\.0*)?$"
_NUMBER: Final = r"^-?(?:\d{1,18}|[0-8]\d{18})(?:\.0*)?$"
# Far outside of what any bar may have, and far from the ends of int64.
_MOST_MICROSECONDS: Final = 2**60


class TimeReader:
    """Reads the column of times of one file, block after block.

    Parameters
    ----------
    time_format : str or None
        How times are written, see `parse_time_format`; or ``s``, ``ms``, ``us``, ``ns`` for numbers
        since the Unix epoch. None: ISO 8601, or numbers whose unit is told by their size.

    Attributes
    ----------
    epoch_unit : str or None
        Unit of numbers since the Unix epoch, once there were any.

    Raises
    ------
    BarFileError
        The format is none.
    """

    def __init__(self, time_format: str | None = None) -> None:
        self.epoch_unit = time_format if time_format in _EPOCH_UNITS else None
        self._is_epoch = self.epoch_unit is not None
        is_pattern = time_format is not None and not self._is_epoch
        self._pattern = parse_time_format(time_format or "") if is_pattern else None

    def read(self, column: pa.Array) -> WrittenTimes:
        """Read the times of a block.

        Raises
        ------
        BarFileError
            The column is of a type that holds no times.
        """
        kind = column.type
        if pa.types.is_timestamp(kind):
            return _read_timestamps(column)
        if pa.types.is_date(kind):
            wall = column.cast(pa.timestamp("us"))
            return WrittenTimes.of_arrow(wall, WrittenTimeKind.DATE)
        if is_text(column) or pa.types.is_integer(kind):
            return self._read_text(as_text(column))
        raise BarFileError(
            f"the column of times holds {kind}; times are timestamps, dates, whole numbers or text"
        )

    def _read_text(self, text: pa.Array) -> WrittenTimes:
        if self._pattern is not None:
            return read_times(text, self._pattern)
        numbers = as_mask(
            pc.fill_null(
                pc.match_substring_regex(text, _NUMBER if self._is_epoch else _EPOCH), fill_value=False
            )
        )
        if not numbers.any() and not self._is_epoch:
            return read_iso_times(text)
        chosen = pa.array(numbers)
        epochs = self._read_epochs(pc.if_else(chosen, text, None))
        if numbers.all() or self._is_epoch:
            return epochs
        return epochs.where(numbers, read_iso_times(pc.if_else(chosen, None, text)))

    def _read_epochs(self, text: pa.Array) -> WrittenTimes:
        whole = pc.replace_substring_regex(text, r"\.0*$", "")
        counts: Int64Array = pc.fill_null(whole.cast(pa.int64()), 0).to_numpy()
        if self.epoch_unit is None:
            # The middle one: a row that is wrong must not decide for the others.
            usual = float(np.median(np.abs(counts[as_mask(text.is_valid())])))
            self.epoch_unit = next((u for u, bound in _UNIT_BOUNDS.items() if usual < bound), "ns")
        per_unit = _EPOCH_UNITS[self.epoch_unit]
        if per_unit:
            most_units = _MOST_MICROSECONDS // per_unit
            instant_us = np.clip(counts, -most_units, most_units) * per_unit
        else:
            instant_us = counts // _NANOSECONDS_PER_MICROSECOND
        instants = pa.array(instant_us, mask=as_mask(text.is_null()))
        return WrittenTimes.of_arrow(instants.cast(pa.timestamp("us")), WrittenTimeKind.INSTANT)


def _read_timestamps(column: pa.Array) -> WrittenTimes:
    # Nanoseconds are cut off: a bar's time is a whole minute, and half a microsecond of error in a
    # vendor's file is no reason to refuse it.
    zone = column.type.tz
    times = column.cast(pa.timestamp("us", zone), safe=False)
    if zone is None:
        return WrittenTimes.of_arrow(times, WrittenTimeKind.LOCAL)
    return WrittenTimes.of_arrow(pc.local_timestamp(times), WrittenTimeKind.INSTANT, times)
