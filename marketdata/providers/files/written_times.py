"""Times as a file has them, and the times of bars that they mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from marketdata.domain.bars import Int64Array
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe

BoolArray = npt.NDArray[np.bool_]

UTC_NAME: Final = "UTC"


class WrittenTimeKind(IntEnum):
    """What a written time says."""

    UNREADABLE = 0
    # A date and no more.
    DATE = 1
    # A date and a time of day, without saying where.
    LOCAL = 2
    # With an offset from UTC, or counted from the Unix epoch.
    INSTANT = 3


@dataclass(frozen=True, slots=True, eq=False)
class WrittenTimes:
    """Times of rows as a file has them.

    Attributes
    ----------
    kind : int8[n]
        A `WrittenTimeKind`.
    wall_us : int64[n]
        Date and time of day as written, as if they were UTC, Unix microseconds.
    instant_us : int64[n]
        Where the kind is INSTANT: the instant, Unix microseconds UTC. Elsewhere without meaning.
    """

    kind: npt.NDArray[np.int8]
    wall_us: Int64Array
    instant_us: Int64Array

    @classmethod
    def of_arrow(cls, wall: pa.Array, kind: WrittenTimeKind, instant: pa.Array | None = None) -> Self:
        """Make them of timestamps in microseconds, all of one kind; null is UNREADABLE."""
        valid = wall.is_valid().to_numpy(zero_copy_only=False)
        wall_us = _microseconds(wall)
        instant_us = wall_us if instant is None else _microseconds(instant)
        return cls(
            np.where(valid, kind, WrittenTimeKind.UNREADABLE).astype(np.int8), wall_us, instant_us
        )

    def where(self, chosen: BoolArray, other: "WrittenTimes") -> "WrittenTimes":
        """Take the rows where `chosen` from here, and the rest from `other`."""
        return WrittenTimes(
            np.where(chosen, self.kind, other.kind),
            np.where(chosen, self.wall_us, other.wall_us),
            np.where(chosen, self.instant_us, other.instant_us),
        )


@dataclass(frozen=True, slots=True, eq=False)
class PlacedTimes:
    """Times of bars.

    Attributes
    ----------
    time_us : int64[n]
        Unix microseconds UTC; of daily bars the session date at 00:00:00 UTC.
    problems : mapping of str to bool[n]
        By the name of a rule of `TIME_RULES`: the rows whose time is none.
    """

    time_us: Int64Array
    problems: Mapping[str, BoolArray]


TIME_RULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "NOT_A_TIME": "is no time that can be read without guessing; --time-format says how to",
        "NO_TIME_OF_DAY": "has no time of day; are these daily bars? --timeframe 1d",
        "AMBIGUOUS_TIME": "happened twice there, as the clocks were set back; write it with its offset",
        "TIME_DOES_NOT_EXIST": "was left out there, when the clocks were set forward",
    }
)


def place_times(written: WrittenTimes, timeframe: Timeframe, time_zone: str) -> PlacedTimes:
    """Tell the times of bars from what is written.

    A daily bar belongs to a session date. A time of 00:00 names its date, whatever its offset says:
    2024-01-02T00:00-05:00 is the session of January 2. An instant that is midnight in `time_zone`
    names the date there: with New York, 2024-01-02T05:00Z is that session too. Any other time of day
    stays as it is, and breaks the rule TIME_NOT_ALIGNED.

    Parameters
    ----------
    written : WrittenTimes
        As read.
    time_zone : str
        IANA name; where times without an offset are at home.
    """
    unreadable = written.kind == WrittenTimeKind.UNREADABLE
    problems = {"NOT_A_TIME": unreadable}
    if timeframe is Timeframe.DAY_1:
        return PlacedTimes(_session_labels(written, time_zone), problems)
    problems["NO_TIME_OF_DAY"] = written.kind == WrittenTimeKind.DATE
    is_local = written.kind == WrittenTimeKind.LOCAL
    time_us = np.where(is_local, written.wall_us, written.instant_us)
    if time_zone != UTC_NAME and is_local.any():
        earliest, latest = _localised(np.where(is_local, time_us, 0), time_zone)
        # In a gap the two are a microsecond apart: its end, and what was just before its start.
        gap = latest - earliest == 1
        problems["TIME_DOES_NOT_EXIST"] = gap
        problems["AMBIGUOUS_TIME"] = (latest != earliest) & ~gap
        time_us = np.where(is_local, earliest, time_us)
    return PlacedTimes(time_us, problems)


def _session_labels(written: WrittenTimes, time_zone: str) -> Int64Array:
    label_us = written.wall_us
    elsewhere = (written.kind == WrittenTimeKind.INSTANT) & (label_us % MICROSECONDS_PER_DAY != 0)
    if time_zone == UTC_NAME or not elsewhere.any():
        return np.where(elsewhere, written.instant_us, label_us)
    local = _microseconds(
        pc.local_timestamp(pa.array(written.instant_us).cast(pa.timestamp("us", time_zone)))
    )
    is_midnight = local % MICROSECONDS_PER_DAY == 0
    return np.where(elsewhere, np.where(is_midnight, local, written.instant_us), label_us)


def _localised(wall_us: Int64Array, time_zone: str) -> tuple[Int64Array, Int64Array]:
    wall = pa.array(wall_us).cast(pa.timestamp("us"))
    earliest, latest = (
        _microseconds(pc.assume_timezone(wall, time_zone, ambiguous=choice, nonexistent=choice))
        for choice in ("earliest", "latest")
    )
    return earliest, latest


def _microseconds(times: pa.Array) -> Int64Array:
    values: Int64Array = pc.fill_null(times.cast(pa.int64()), 0).to_numpy()
    return values
