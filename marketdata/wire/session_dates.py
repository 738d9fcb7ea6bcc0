"""Session dates of requests: ISO 8601 texts within the dates that bars can have."""

from datetime import date
from typing import Final

from marketdata.domain.time_range import session_date
from marketdata.domain.timeframe import Timeframe
from marketdata.wire.times import parse_date
from marketdata.wire.violations import Violations

_EARLIEST: Final = session_date(Timeframe.DAY_1.earliest_us)
_LATEST: Final = session_date(Timeframe.DAY_1.latest_us)


def parse_session_date(field: str, text: str, violations: Violations) -> date | None:
    """Read the date of a session; None where it is empty, or wrong, which is noted."""
    day = parse_date(field, text, violations)
    if day is not None and not _EARLIEST <= day < _LATEST:
        problem = f"lies outside of {_EARLIEST} to {_LATEST}, where no bar can be"
        violations.add(field, "DATE_OUT_OF_BOUNDS", problem)
        return None
    return day


def parse_required_date(field: str, text: str, violations: Violations) -> date | None:
    """Read the date of a session as `parse_session_date`; an empty one is noted."""
    if not text:
        violations.add(field, "REQUIRED", "is not set; send an ISO 8601 date such as 2013-02-28")
    return parse_session_date(field, text, violations)


def date_to_text(day: date | None) -> str:
    """Write a date as the contract has it; empty for None."""
    return day.isoformat() if day else ""


def date_from_text(text: str) -> date | None:
    """Read a date of an answer; None where it is empty."""
    return date.fromisoformat(text) if text else None
