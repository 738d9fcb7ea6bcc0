"""Columns that an adapter parsed, made into the frame and the page that the protocol asks for."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import BarColumn, BarFlag, BarFrame, Int64Array, full_columns
from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.time_range import TimeRange, from_unix_us
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.errors import ProviderAnswerError, ProviderKeyError
from marketdata.providers.protocol import Capabilities

Columns = Mapping[BarColumn, npt.NDArray[Any]]
BoolArray = npt.NDArray[np.bool_]


def check_timeframe(can: Capabilities, timeframe: Timeframe) -> None:
    """Refuse bars that a provider does not have, so that no others are taken for them.

    Raises
    ------
    ProviderKeyError
        It has none of that timeframe; says which it has.
    """
    if timeframe not in can.feeds:
        known = ", ".join(known.value for known in Timeframe if known in can.feeds)
        raise ProviderKeyError(
            f"{can.name} has no bars of {timeframe.value}; it has {known}, from which the service makes"
            " longer ones"
        )


def have_ended(
    timeframe: Timeframe, time_us: Int64Array, calendar: SessionCalendar, asked_us: int
) -> BoolArray:
    """Tell which bars were complete when they were asked for.

    Parameters
    ----------
    timeframe : Timeframe
        Of the bars.
    time_us : int64[n]
        Their opens, Unix microseconds; session labels for daily bars.
    calendar : SessionCalendar
        Of the symbol.
    asked_us : int
        When the provider was asked, not when it answered: a bar may end in between.

    Returns
    -------
    bool[n]
        Daily bars end with their session's extended hours: the closing auction, minutes behind the
        close, makes the official close.
    """
    if timeframe is not Timeframe.DAY_1:
        return time_us + timeframe.duration_us <= asked_us
    rows = np.minimum(np.searchsorted(calendar.label_us, time_us), len(calendar.label_us) - 1)
    known = calendar.label_us[rows] == time_us
    return np.where(known, calendar.extended_end_us[rows], time_us + MICROSECONDS_PER_DAY) <= asked_us


def to_frame(symbol: str, feed: str, columns: Columns, is_final: BoolArray) -> BarFrame:
    """Make a frame of one symbol and feed.

    Parameters
    ----------
    symbol : str
        In this service's spelling.
    feed : str
        ``provider/feed``.
    columns : mapping of BarColumn to array
        What the provider tells, TIME at least; the others get the marks for missing values.
    is_final : bool[n]
        Which bars have ended.
    """
    flags = np.where(is_final, np.int16(BarFlag.FINAL), np.int16(0)).astype(np.int16)
    given = {**columns, BarColumn.FLAGS: flags}
    return BarFrame((symbol,), **full_columns(len(flags), given), feeds={0: feed})


def cut(frame: BarFrame, wanted: TimeRange) -> BarFrame:
    """Return the bars that open within a range: answers come by whole months or days."""
    is_wanted = (frame.time_us >= wanted.start_us) & (frame.time_us < wanted.end_us)
    return frame if is_wanted.all() else frame.take(is_wanted)


def check_times(time_us: Int64Array, asked: TimeRange) -> None:
    """Hold an answer to what was asked, so that a page of elsewhere is never taken for this one.

    Parameters
    ----------
    time_us : int64[n]
        All opens of the answer, in any order.
    asked : TimeRange
        What the provider was asked for.

    Raises
    ------
    ProviderAnswerError
        A bar lies outside, or is there twice.
    """
    outside = (time_us < asked.start_us) | (time_us >= asked.end_us)
    if outside.any():
        strange, start, end = (
            f"{from_unix_us(moment_us):%Y-%m-%d %H:%M}"
            for moment_us in (int(time_us[outside][0]), asked.start_us, asked.end_us)
        )
        raise ProviderAnswerError(
            f"a bar of {strange} UTC is in the answer, which was asked for {start} to {end}"
        )
    if len(np.unique(time_us)) != len(time_us):
        raise ProviderAnswerError("a bar is twice in the answer")
