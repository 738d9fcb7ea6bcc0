"""Bars held to the rules of quality: how tests ask, and what they compare."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from marketdata.domain.bars import BarFrame
from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.quality import QualityContext, QualityReport, check_quality
from marketdata.domain.quality.report import JudgedBars
from marketdata.domain.time_range import session_date
from marketdata.domain.timeframe import Timeframe
from tests.support.sessions import LONG_AFTER_US, dates_between, minutes_between, walk


def judge(
    frame: BarFrame,
    timeframe: Timeframe = Timeframe.MINUTE_1,
    *,
    calendar: str | None = "XNYS",
    now_us: int = LONG_AFTER_US,
    tick_size: float | None = None,
    before: BarFrame | None = None,
    actions: Sequence[CorporateAction] = (),
) -> QualityReport:
    """Hold bars to every rule, with as little context as the test needs."""
    known: SessionCalendar | None = None if calendar is None else get_calendar(calendar)
    before = frame.take(slice(0, 0)) if before is None else before
    return check_quality(
        frame, QualityContext(timeframe, known, now_us, tick_size, before, tuple(actions))
    )


def minutes(start: str = "2024-03-04 09:30", end: str = "2024-03-04 16:00", **given: Any) -> BarFrame:
    """Make sound minutes of New York."""
    return walk(minutes_between(start, end), **given)


def session_days(start: str = "2023-01-01", end: str = "2024-01-01", **given: Any) -> BarFrame:
    """Make sound days of New York."""
    calendar = get_calendar("XNYS")
    return walk(calendar.label_us[calendar.session_rows_in(dates_between(start, end))], **given)


def changed(frame: BarFrame, row: int | slice | np.ndarray[Any, Any], **values: Any) -> BarFrame:
    """Set some values of some rows."""
    columns = {}
    for name, value in values.items():
        columns[name] = getattr(frame, name).copy()
        columns[name][row] = value
    return replace(frame, **columns)


def scaled(frame: BarFrame, row: int | slice | np.ndarray[Any, Any], factor: float) -> BarFrame:
    """Multiply the prices of some rows."""
    columns = {name: getattr(frame, name).copy() for name in ("open", "high", "low", "close", "vwap")}
    for values in columns.values():
        values[row] *= factor
    return replace(frame, **columns)


def broken(judged: JudgedBars) -> dict[int, set[str]]:
    """Tell the names of the rules that are broken, by time."""
    rules = judged.rules()
    return {
        time_us: {rule.name for rule in row}
        for time_us, row in zip(judged.frame.time_us.tolist(), rules, strict=True)
    }


def counted(report: QualityReport) -> dict[str, int]:
    """Tell the counts by rules' names."""
    return {rule.name: count for rule, count in report.counts.items()}


def split(time_us: int, ratio: float) -> CorporateAction:
    """Make a split with its ex-date in the session of a daily bar."""
    return CorporateAction(CorporateActionKind.SPLIT, session_date(time_us), split_ratio=ratio)
