"""A calendar of what is stored: years as blocks of weekdays by weeks."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt
from rich.text import Text

from marketdata.domain.bars import Int64Array
from marketdata.domain.coverage import SessionCounts
from marketdata.domain.gaps import GapReason
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY

_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
_WORKING_DAYS: Final = 5
# 1970-01-01 was a Thursday.
_EPOCH_WEEKDAY: Final = 3
# A leap year that begins on a Sunday reaches into a 54th week.
_WEEKS: Final = 54
_LABEL_COLUMNS: Final = 4
_BLOCK_COLUMNS: Final = _LABEL_COLUMNS + _WEEKS
_BETWEEN_COLUMNS: Final = 2
_ALL: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Look:
    """How a session looks."""

    mark: str
    style: str
    meaning: str


# The marks tell as much as the colours: a pipe has none, and not everybody sees them.
_IN_PART: Final = {
    _ALL: _Look("■", "green", "all bars"),
    0.9: _Look("◆", "chartreuse3", "90 % and more"),
    0.5: _Look("◇", "yellow", "half and more"),
    np.nextafter(0.0, 1.0): _Look("·", "dark_orange", "less than half"),
}
_QUARANTINED: Final = _Look("Q", "bold magenta", "some in quarantine")
_DERIVED: Final = _Look("D", "cyan", "derived from minutes")
# Of sessions without a bar, by why most of them are missing.
_NONE: Final = {
    GapReason.MISSING: _Look("x", "bold red", "none"),
    GapReason.FAILED: _Look("F", "bold bright_red", "failed"),
    GapReason.NO_TRADES: _Look("N", "blue", "no trades"),
    GapReason.PROVIDER_HAS_NONE: _Look("P", "bright_blue", "provider has none"),
    GapReason.BEYOND_HISTORY: _Look("H", "bright_black", "beyond history"),
    GapReason.QUARANTINED: _QUARANTINED,
}
_LOOKS: Final = (*_IN_PART.values(), _QUARANTINED, _DERIVED, *list(_NONE.values())[:-1])


def heat_map(sessions: SessionCounts, columns: int) -> list[Text]:
    """Draw the years that sessions are of, side by side where there is room.

    Parameters
    ----------
    sessions : SessionCounts
        At least one. Days that are no session, or not among them, are blank.
    columns : int
        Width of the lines; a year takes 58.

    Returns
    -------
    list of Text
        Lines, with styles that a terminal may show; the marks tell the same.
    """
    days = sessions.label_us // MICROSECONDS_PER_DAY
    weekdays = (days + _EPOCH_WEEKDAY) % len(_WEEKDAYS)
    shown = len(_WEEKDAYS) if np.any(weekdays >= _WORKING_DAYS) else _WORKING_DAYS
    years = days.astype("datetime64[D]").astype("datetime64[Y]").astype(int) + 1970
    blocks = [
        _year(year, days[years == year], weekdays[years == year], _of(sessions, years == year), shown)
        for year in range(int(years[0]), int(years[-1]) + 1)
    ]
    across = max(1, (columns + _BETWEEN_COLUMNS) // (_BLOCK_COLUMNS + _BETWEEN_COLUMNS))
    lines: list[Text] = []
    for first in range(0, len(blocks), across):
        lines += _beside(blocks[first : first + across])
        lines.append(Text())
    return lines


def legend() -> list[Text]:
    """Say what the marks mean: what is there in a line, and what is not in the next."""
    first, second = Text(), Text()
    for number, look in enumerate(_LOOKS):
        line = first if number < len(_IN_PART) else second
        line.append(look.mark, look.style).append(f" {look.meaning}   ")
    second.rstrip()
    return [first.append("blank: no session"), second]


def _of(sessions: SessionCounts, chosen: npt.NDArray[np.bool_]) -> SessionCounts:
    columns = (getattr(sessions, column.name) for column in fields(sessions))
    return SessionCounts(*(column[chosen] for column in columns))


def _year(
    year: int, days: Int64Array, weekdays: Int64Array, sessions: SessionCounts, shown: int
) -> list[Text]:
    """Draw a year: what is there in all, the months, and a line a weekday."""
    new_year = (date(year, 1, 1) - date(1970, 1, 1)).days
    first_weekday = (new_year + _EPOCH_WEEKDAY) % len(_WEEKDAYS)
    weeks = (days - new_year + first_weekday) // len(_WEEKDAYS)
    looks = np.full((len(_WEEKDAYS), _WEEKS), -1)
    looks[weekdays, weeks] = _looks(sessions)
    present, expected = int(sessions.present.sum()), int(sessions.expected.sum())
    lines = [Text(f"{year}  {present:,} of {expected:,} bars", "bold"), _months(year, first_weekday)]
    for weekday in range(shown):
        line = Text(f"{_WEEKDAYS[weekday]:<{_LABEL_COLUMNS}}")
        for look in looks[weekday].tolist():
            line.append(_LOOKS[look].mark, _LOOKS[look].style) if look >= 0 else line.append(" ")
        lines.append(line)
    return lines


def _looks(sessions: SessionCounts) -> Int64Array:
    """Choose a row of `_LOOKS` for each session."""
    share = sessions.present / sessions.expected
    # The shares descend: the first one that is reached.
    reached = share[:, None] >= np.array(list(_IN_PART))
    # Where only a part of a session is asked about, none of it may be too little for a gap.
    reasons = [_NONE[GapReason(n or GapReason.MISSING)] for n in range(len(GapReason) + 1)]
    of_none = np.array([_LOOKS.index(look) for look in reasons])[sessions.reason]
    look: Int64Array = np.where(reached.any(axis=1), np.argmax(reached, axis=1), of_none)
    look[(sessions.present == 0) & (sessions.derived > 0)] = _LOOKS.index(_DERIVED)
    # A person has to decide of them, so one is enough.
    look[sessions.quarantined > 0] = _LOOKS.index(_QUARANTINED)
    return look


def _months(year: int, first_weekday: int) -> Text:
    line = " " * _LABEL_COLUMNS
    new_year = date(year, 1, 1)
    for number, name in enumerate(_MONTHS, start=1):
        days = (date(year, number, 1) - new_year).days
        line = f"{line:<{_LABEL_COLUMNS + (days + first_weekday) // len(_WEEKDAYS)}}{name}"
    return Text(line, "dim")


def _beside(blocks: Sequence[list[Text]]) -> list[Text]:
    lines = []
    for parts in zip(*blocks, strict=True):
        line = Text()
        for part in parts[:-1]:
            part.pad_right(_BLOCK_COLUMNS + _BETWEEN_COLUMNS - part.cell_len)
            line.append_text(part)
        line.append_text(parts[-1])
        line.rstrip()
        lines.append(line)
    return lines
