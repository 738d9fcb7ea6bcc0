"""Tables, spans of time and sizes, as commands that keep the database name and write them."""

from enum import Enum
from typing import Annotated, Final

import typer

from marketdata.domain.calendar_span import CalendarSpan
from marketdata.domain.time_range import from_unix_us
from marketdata.domain.timeframe import Timeframe

_UNITS: Final = ("B", "kB", "MB", "GB", "TB")
_STEP: Final = 1024.0


class Table(Enum):
    """A bar table, as commands name it."""

    MIN = "min"
    HOUR = "hour"
    DAY = "day"

    @property
    def timeframe(self) -> Timeframe:
        """Of the bars in it."""
        return _TIMEFRAMES[self]


_TIMEFRAMES: Final = {
    Table.MIN: Timeframe.MINUTE_1,
    Table.HOUR: Timeframe.HOUR_1,
    Table.DAY: Timeframe.DAY_1,
}


def parse_span(text: str) -> CalendarSpan:
    """Read a span of time that an option gives.

    Raises
    ------
    typer.BadParameter
        It is none; the command ends with exit code 2.
    """
    try:
        return CalendarSpan.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def size_text(size_bytes: float) -> str:
    """Write a size as people read it: ``1.5 MB``."""
    unit = 0
    while size_bytes >= _STEP and unit < len(_UNITS) - 1:
        size_bytes, unit = size_bytes / _STEP, unit + 1
    return f"{size_bytes:.1f} {_UNITS[unit]}" if unit else f"{size_bytes:.0f} B"


def day_text(time_us: int | None) -> str:
    """Write the day of a time, UTC; nothing where there is none."""
    return from_unix_us(time_us).date().isoformat() if time_us is not None else ""


def iso_text(time_us: int | None) -> str | None:
    """Write a time for programs: ISO 8601, UTC."""
    return None if time_us is None else from_unix_us(time_us).isoformat().replace("+00:00", "Z")


AsJson = Annotated[bool, typer.Option("--json", help="For pipes: a JSON object a line, sizes in bytes")]
