"""The calendars of symbols, off the event loop: making one takes seconds the first time."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from marketdata.domain.bars import BarFrame, Int64Array
from marketdata.domain.calendar import SessionCalendar, SessionHours
from marketdata.domain.exchange_hours import UnknownCalendarError, check_calendar, get_calendar
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY
from marketdata.errors import FieldViolation, InvalidRequestError

log = logging.getLogger(__name__)

# For a symbol whose calendar nobody knows: all its bars are regular, and its days are UTC's.
_FALLBACK: Final = "24/7"

Calendars = Mapping[str, SessionCalendar]


async def load_calendars(names: Iterable[str]) -> dict[str, SessionCalendar]:
    """Load calendars by name, in a thread; a process keeps those that it has loaded.

    Parameters
    ----------
    names : iterable of str
        As symbols have them. One that is not known is read as a market that never closes.
    """
    return await asyncio.to_thread(_load, frozenset(names))


async def refuse_unknown_calendar(name: str) -> None:
    """Refuse the calendar that a symbol is to have where nobody knows it.

    Its bars would be taken for those of a market that never closes.

    Raises
    ------
    InvalidRequestError
        The violation names ``symbol.calendar``.
    """
    try:
        await asyncio.to_thread(check_calendar, name)
    except UnknownCalendarError as error:
        violation = FieldViolation("symbol.calendar", "UNKNOWN_CALENDAR", str(error))
        raise InvalidRequestError(violations=[violation]) from None


async def warm_calendars() -> None:
    """Make the calendar of most symbols, so that no call has to wait for it."""
    await load_calendars(["XNYS"])


def session_labels(frame: BarFrame, calendars: Mapping[str, SessionCalendar]) -> Int64Array:
    """Tell the session of each intraday bar.

    Parameters
    ----------
    frame : BarFrame
        Of one or many symbols.
    calendars : mapping of str to SessionCalendar
        By symbol.

    Returns
    -------
    int64[n]
        Session dates at 00:00:00 UTC, Unix microseconds; the UTC date where the calendar does not
        reach (that of Shanghai ends with the year that its holidays are published for).
    """
    labels = frame.time_us - frame.time_us % MICROSECONDS_PER_DAY
    for calendar, rows in _rows_by_calendar(frame, calendars):
        labels[rows] = calendar.session_labels(frame.time_us[rows])
    return labels


def in_regular_hours(
    frame: BarFrame, calendars: Mapping[str, SessionCalendar]
) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Tell which intraday bars start in the regular hours of their symbol; as `session_labels`."""
    regular = np.ones(len(frame), np.bool_)
    for calendar, rows in _rows_by_calendar(frame, calendars):
        regular[rows] = calendar.in_hours(frame.time_us[rows], SessionHours.REGULAR)
    return regular


def _rows_by_calendar(
    frame: BarFrame, calendars: Mapping[str, SessionCalendar]
) -> list[tuple[SessionCalendar, Int64Array]]:
    distinct = {id(calendars[symbol]): calendars[symbol] for symbol in frame.symbols}
    of_symbol = np.array([list(distinct).index(id(calendars[s])) for s in frame.symbols])
    of_row = of_symbol[frame.row_symbol_index()]
    placed = []
    for number, calendar in enumerate(distinct.values()):
        known = calendar.intraday_range
        within = (frame.time_us >= known.start_us) & (frame.time_us < known.end_us)
        placed.append((calendar, np.flatnonzero(within & (of_row == number))))
    return placed


def _load(names: frozenset[str]) -> dict[str, SessionCalendar]:
    loaded = {}
    for name in names:
        try:
            loaded[name] = get_calendar(name)
        except UnknownCalendarError:
            log.warning("unknown_calendar", extra={"calendar": name})
            loaded[name] = get_calendar(_FALLBACK)
    return loaded
