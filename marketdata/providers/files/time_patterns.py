"""Patterns of written times: ISO 8601 as vendors write it, and formats that a person gives."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from marketdata.errors import BarFileError

_ZONE: Final = r"(?P<zone>[Zz]|UTC|GMT|(?P<sign>[+-])(?P<zone_hour>\d{2}):?(?P<zone_minute>\d{2})?)"
# 2024-01-02, 2024/01/02 and 20240102; alone or with 14:30, 14:30:00.000 or 143000; with or without
# an offset from UTC. Neither 1/2/2024 nor 2.1.2024: who can tell which is the month?
_ISO: Final = (
    r"^(?P<year>\d{4})[-/.]?(?P<month>\d{2})[-/.]?(?P<day>\d{2})"
    r"(?:(?:T|\s+)(?P<hour>\d{2}):?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:\.(?P<fraction>\d{1,9}))?)?"
    rf"\s*{_ZONE}?)?$"
)
_DIRECTIVES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Y": r"(?P<year>\d{4})",
        "y": r"(?P<short_year>\d{2})",
        "m": r"(?P<month>\d{1,2})",
        "b": r"(?P<month_name>[A-Za-z]{3})",
        "d": r"(?P<day>\d{1,2})",
        "H": r"(?P<hour>\d{1,2})",
        "I": r"(?P<half_day_hour>\d{1,2})",
        "M": r"(?P<minute>\d{1,2})",
        "S": r"(?P<second>\d{1,2})",
        "f": r"(?P<fraction>\d{1,9})",
        "p": r"(?P<half>[AaPp][Mm])",
        "z": _ZONE,
        "%": "%",
    }
)
_PIECE: Final = re.compile(r"%(.?)|\s+|[^%\s]+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TimePattern:
    """How times are written.

    Attributes
    ----------
    regex : str
        Matches the whole text of a time; in the syntax that RE2 and Python share.
    groups : frozenset of str
        Names of its groups.
    """

    regex: str
    groups: frozenset[str]


def _pattern(regex: str) -> TimePattern:
    return TimePattern(regex, frozenset(re.compile(regex).groupindex))


ISO_PATTERN: Final = _pattern(_ISO)


def parse_time_format(time_format: str) -> TimePattern:
    """Make a pattern of a format such as ``%d/%m/%Y %H:%M``.

    Not `strptime`, which pyarrow has too: it reads 2024-02-30 as the first of March.

    Parameters
    ----------
    time_format : str
        With the directives ``%Y %y %m %b %d %H %I %p %M %S %f %z``, each as `strftime` knows it, at
        most once; English names of months. White space stands for any amount of it.

    Raises
    ------
    BarFileError
        Another directive, one twice, or no whole date.
    """
    parts = ["^"]
    for piece in _PIECE.finditer(time_format.strip()):
        directive = piece.group(1)
        if directive is None:
            parts.append(r"\s+" if piece.group().isspace() else re.escape(piece.group()))
        elif directive in _DIRECTIVES:
            parts.append(_DIRECTIVES[directive])
        else:
            known = " ".join(f"%{name}" for name in _DIRECTIVES)
            raise BarFileError(f"--time-format: %{directive} is not known; use {known}")
    try:
        pattern = _pattern("".join([*parts, "$"]))
    except re.error:
        raise BarFileError(f"--time-format {time_format}: a directive stands twice") from None
    _refuse_incomplete(time_format, pattern.groups)
    return pattern


def _refuse_incomplete(time_format: str, groups: frozenset[str]) -> None:
    has_date = "day" in groups and all(
        len(groups & either) == 1 for either in ({"year", "short_year"}, {"month", "month_name"})
    )
    hours = groups & {"hour", "half_day_hour"}
    has_hour = len(hours) <= 1 and ("half" in groups) == ("half_day_hour" in groups)
    if not has_date or not has_hour:
        raise BarFileError(
            f"--time-format {time_format}: a day, a month and a year are needed, each once, and %I"
            " and %p only together; such as %d/%m/%Y %H:%M or %m/%d/%Y %I:%M %p"
        )
