"""Times by a wall clock turned into UTC, without a loop over bars."""

from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from marketdata.domain.bars import Int64Array
from marketdata.domain.time_range import from_unix_us, to_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ProviderAnswerError

# Zones switch their clocks at whole quarters of an hour.
_QUARTER_US: Final = 900 * 1_000_000


def check_sane(time_us: Int64Array) -> None:
    """Refuse times that no bar can have, before they overflow in some calculation.

    Raises
    ------
    ProviderAnswerError
        One lies before 1900 or after 2099, or is none.
    """
    bounds = Timeframe.DAY_1
    if np.any((time_us < bounds.earliest_us) | (time_us >= bounds.latest_us)):
        raise ProviderAnswerError("the answer has times that no bar can have")


def find_zone(name: str) -> ZoneInfo:
    """Find a time zone by the name that an answer gives it.

    Raises
    ------
    ProviderAnswerError
        There is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        problem = ProviderAnswerError(f"the answer is in a time zone that nobody knows: {name[:40]!r}")
    raise problem


def to_utc_us(wall_us: Int64Array, zone: ZoneInfo) -> Int64Array:
    """Turn times by the wall clock of a zone into UTC.

    Parameters
    ----------
    wall_us : int64[n]
        What the clock showed, as microseconds since 1970-01-01 00:00 of the same clock.
    zone : ZoneInfo
        Of the clock.

    Returns
    -------
    int64[n]
        Unix microseconds. An hour that comes twice is taken for its first coming.
    """
    quarters, rows = np.unique(wall_us // _QUARTER_US, return_inverse=True)
    offsets = [_offset_us(int(quarter) * _QUARTER_US, zone) for quarter in quarters.tolist()]
    return wall_us - np.array(offsets, np.int64)[rows]


def _offset_us(wall_us: int, zone: ZoneInfo) -> int:
    local = from_unix_us(wall_us).replace(tzinfo=zone)
    return wall_us - to_unix_us(local)
