"""Spans of calendar time, as people write them: ``6mo``, ``2w``, ``1y``."""

import re
from dataclasses import dataclass
from typing import Final

_TEXT: Final = re.compile(r"(?P<count>[1-9]\d{0,4})(?P<unit>d|w|mo|y)")
_MONTHS: Final = {"mo": 1, "y": 12}
_DAYS: Final = {"d": 1, "w": 7}
_MONTHS_A_YEAR: Final = 12
# As PostgreSQL counts where it compares an interval of months with one of days.
_DAYS_A_MONTH: Final = 30


@dataclass(frozen=True, slots=True)
class CalendarSpan:
    """A number of months and days.

    Attributes
    ----------
    months, days : int
        Not negative. A month is as long as the calendar says where the span begins.
    """

    months: int = 0
    days: int = 0

    @classmethod
    def parse(cls, text: str) -> "CalendarSpan":
        """Read ``30d``, ``2w``, ``6mo`` or ``10y``.

        Raises
        ------
        ValueError
            The text is none of these.
        """
        found = _TEXT.fullmatch(text.strip().lower())
        if found is None:
            raise ValueError(
                f"{text!r} is no span of time: write a number and d, w, mo or y, such as 6mo"
            )
        count, unit = int(found["count"]), found["unit"]
        if unit in _MONTHS:
            return cls(months=count * _MONTHS[unit])
        return cls(days=count * _DAYS[unit])

    @property
    def least_days(self) -> int:
        """Days that it counts for in comparisons: 30 a month."""
        return self.months * _DAYS_A_MONTH + self.days

    def __str__(self) -> str:
        """Write it as `parse` reads it; months and days one behind the other."""
        years, months = divmod(self.months, _MONTHS_A_YEAR)
        in_months = f"{self.months}mo" if self.months else ""
        text = f"{years}y" if years and not months else in_months
        return text + (f"{self.days}d" if self.days or not text else "")
