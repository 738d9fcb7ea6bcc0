"""Session calendars made from `exchange_calendars`: the only module that imports it, and lazily.

The import brings pandas along: 0.9 s and 57 MB, and making a calendar takes half a second more (XKRX,
XMOS and XTAE, whose holidays follow the moon or are listed one by one, 2 to 5 s). So a process makes
each calendar once, and an event loop makes it in a thread.

pandas 3.1 is not usable here: with it `exchange_calendars` 4.13 loses, without a word, the Saturday
sessions of XKRX, XBOM and XMOS, and cannot make ASEX, XBEL, XBSE, XCYS and XTAE at all. With 2.3 and
3.0 all calendars are equal.

Which hours are extended, `exchange_calendars` does not say:

* United States (XNYS and its aliases): from 04:00 New York time to four hours after the close, so to
  20:00, and to 17:00 on half days. These are NYSE Arca's and Nasdaq's early and late sessions. What
  trades in the night is traded for the next session, and is outside of its hours.
* Any other calendar: the rest of the session's local date, up to the next session's open. So an
  opening or closing auction belongs to its session, and never to its regular bars. Markets that open
  on the evening before (CMES) or never close ("24/7", "24/5") have no extended hours but after an
  early close.
"""

import difflib
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any, Final

import numpy as np

from marketdata.domain.bars import Int64Array
from marketdata.domain.calendar import SessionCalendar, SessionPart, SessionSpans
from marketdata.domain.time_range import session_date
from marketdata.domain.timeframe import MICROSECONDS_PER_SECOND, Timeframe

_US_CALENDAR: Final = "XNYS"
_US_PRE_MARKET_START: Final = timedelta(hours=4)
_US_AFTER_HOURS_US: Final = 4 * 3_600 * MICROSECONDS_PER_SECOND

# From the earliest daily bar on. Without bounds `exchange_calendars` starts 20 years before today and
# ends a year after it, so that answers would change from day to day and a long-lived process run dry.
# Further than 2049 costs time (each century about 0.4 s) and nobody's bars need it yet.
_EARLIEST: Final = session_date(Timeframe.DAY_1.earliest_us)
_LATEST: Final = date(2049, 12, 31)


class UnknownCalendarError(ValueError):
    """No exchange calendar has that name."""


@cache
def get_calendar(name: str) -> SessionCalendar:
    """Get a calendar by its name; made once a process.

    Blocks for seconds the first time: an event loop calls it in a thread.

    Parameters
    ----------
    name : str
        ISO 10383 MIC or another name of `exchange_calendars`: ``XNYS``, ``XNAS``, ``CMES``, and
        ``24/7`` for what never closes (crypto; its sessions are UTC days) or ``24/5``.

    Returns
    -------
    SessionCalendar
        Its sessions from 1900 to 2049, or as far as they are recorded: XTKS from 1997, XHKG from
        1960, XSHG, XBOM and XSES only to the end of the year of the package's release. New York's
        Saturday sessions before 1952 are not in it.

    Raises
    ------
    UnknownCalendarError
        There is none of that name.
    """
    import exchange_calendars  # noqa: PLC0415  # 0.9 s, and absent from the base install

    check_calendar(name)
    canonical = exchange_calendars.resolve_alias(name)
    if canonical != name:
        return get_calendar(canonical)
    kind = type(exchange_calendars.get_calendar(name))
    first, last = kind.bound_min(), kind.bound_max()
    return _to_calendar(
        kind(
            start=_EARLIEST if first is None else max(first.date(), _EARLIEST),
            end=_LATEST if last is None else min(last.date(), _LATEST),
        )
    )


def check_calendar(name: str) -> None:
    """Raise `UnknownCalendarError` where there is no calendar of that name; makes none.

    Blocks for a second the first time.
    """
    import exchange_calendars  # noqa: PLC0415  # 0.9 s, and absent from the base install

    known = exchange_calendars.get_calendar_names()
    if name not in known:
        raise UnknownCalendarError(_unknown(name, known))


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.upper(), known, cutoff=0.5)
    hint = f" (there is {', '.join(near)})" if near else ""
    return (
        f"there is no exchange calendar {name!r}{hint}; give the MIC of an exchange, such as XNYS,"
        " or 24/7 for a market that never closes"
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Hours:
    """Regular hours as `exchange_calendars` has them; int64[s] each, Unix microseconds."""

    label_us: Int64Array
    open_us: Int64Array
    close_us: Int64Array
    break_start_us: Int64Array
    break_end_us: Int64Array


def _to_calendar(source: Any) -> SessionCalendar:
    schedule = source.schedule
    close_us = _moments_us(schedule["close"])
    hours = _Hours(
        label_us=_labels_us(source),
        open_us=_moments_us(schedule["open"]),
        close_us=close_us,
        break_start_us=_break_us(schedule["break_start"], close_us),
        break_end_us=_break_us(schedule["break_end"], close_us),
    )
    rule = _us_extended_hours if source.name == _US_CALENDAR else _rest_of_local_date
    start_us, end_us = rule(source, hours)
    return SessionCalendar(
        name=source.name,
        time_zone=source.tz.key,
        label_us=hours.label_us,
        open_us=hours.open_us,
        close_us=hours.close_us,
        break_start_us=hours.break_start_us,
        break_end_us=hours.break_end_us,
        extended_start_us=start_us,
        extended_end_us=end_us,
        spans=_to_spans(hours, start_us, end_us),
    )


def _labels_us(source: Any) -> Int64Array:
    labels: Int64Array = source.sessions.to_numpy().astype("datetime64[us]").astype(np.int64)
    return labels


def _moments_us(column: Any) -> Int64Array:
    naive = column.dt.tz_convert(None).to_numpy()
    moments: Int64Array = naive.astype("datetime64[us]").astype(np.int64)
    return moments


def _break_us(column: Any, close_us: Int64Array) -> Int64Array:
    return np.where(column.isna().to_numpy(), close_us, _moments_us(column))


def _local_us(source: Any, after_midnight: timedelta) -> Int64Array:
    """Tell when a time of day by the wall clock comes on each session's date, in UTC."""
    local = (source.sessions + after_midnight).tz_localize(
        # Some zones switch at midnight. An hour that comes twice starts with its first coming.
        source.tz,
        ambiguous=np.ones(len(source.sessions), np.bool_),
        nonexistent="shift_forward",
    )
    naive = local.tz_convert(None).to_numpy()
    moments: Int64Array = naive.astype("datetime64[us]").astype(np.int64)
    return moments


def _us_extended_hours(source: Any, hours: _Hours) -> tuple[Int64Array, Int64Array]:
    return _local_us(source, _US_PRE_MARKET_START), hours.close_us + _US_AFTER_HOURS_US


def _rest_of_local_date(source: Any, hours: _Hours) -> tuple[Int64Array, Int64Array]:
    midnight_us = _local_us(source, timedelta())
    next_midnight_us = _local_us(source, timedelta(days=1))
    next_open_us = np.append(hours.open_us[1:], next_midnight_us[-1])
    end_us = np.maximum(hours.close_us, np.minimum(next_midnight_us, next_open_us))
    previous_end_us = np.append(midnight_us[0], end_us[:-1])
    return np.minimum(hours.open_us, np.maximum(midnight_us, previous_end_us)), end_us


def _to_spans(
    hours: _Hours, extended_start_us: Int64Array, extended_end_us: Int64Array
) -> SessionSpans:
    edges = np.stack(
        [
            np.append(extended_start_us[0], extended_end_us[:-1]),
            extended_start_us,
            hours.open_us,
            hours.break_start_us,
            hours.break_end_us,
            hours.close_us,
            extended_end_us,
        ],
        axis=1,
    )
    part = np.array(
        [
            SessionPart.OUTSIDE,
            SessionPart.PRE_MARKET,
            SessionPart.REGULAR,
            SessionPart.OUTSIDE,
            SessionPart.REGULAR,
            SessionPart.AFTER_HOURS,
        ],
        np.int8,
    )
    sessions = len(edges)
    start_us, end_us = edges[:, :-1].ravel(), edges[:, 1:].ravel()
    # Minutes reach back to 1990 only; the spans before would double the table.
    kept = (start_us < end_us) & (end_us > Timeframe.MINUTE_1.earliest_us)
    return SessionSpans(
        start_us=start_us,
        end_us=end_us,
        part=np.tile(part, sessions),
        session=np.repeat(np.arange(sessions, dtype=np.int32), len(part)),
    ).take(kept)
