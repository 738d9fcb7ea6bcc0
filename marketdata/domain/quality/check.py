"""All rules of quality held against a provider's bars."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from marketdata.domain.bars import BarFlag, BarFrame, Int64Array
from marketdata.domain.quality.finding import Finding
from marketdata.domain.quality.repeats import order_findings, repeat_findings
from marketdata.domain.quality.report import JudgedBars, QualityContext, QualityReport
from marketdata.domain.quality.rows import (
    empty_rows,
    forming_rows,
    session_findings,
    time_findings,
    value_findings,
    vwap_findings,
)
from marketdata.domain.quality.rules import QualityRule, Severity, rules_that
from marketdata.domain.quality.scale import scale_findings
from marketdata.domain.quality.series import series_of
from marketdata.domain.quality.spikes import spike_findings
from marketdata.domain.quality.splits import split_findings
from marketdata.domain.quality.stale import stale_findings

_REJECTING = rules_that(Severity.INVALID, Severity.REJECT)
_FLAGGING = rules_that(Severity.FLAG)
# Of the rules that only count, the one whose rows are stored all the same.
_COUNTING = rules_that(Severity.COUNT)
_LEAVING_OUT = rules_that(Severity.COUNT) & ~QualityRule.TIME_NOT_ASCENDING.bit


@dataclass(slots=True, eq=False)
class _Judgement:
    """What is found, row by row of the frame as given."""

    broken: Int64Array
    findings: list[Finding] = field(default_factory=list)

    def add(self, findings: Iterable[Finding], rows: Int64Array) -> None:
        """Note findings about the rows of the frame at these positions."""
        for finding in findings:
            if len(finding.rows):
                moved = finding.at(rows)
                self.broken[moved.rows] |= moved.rule.bit
                self.findings.append(moved)

    def standing(self) -> Int64Array:
        """Positions of the rows that nothing keeps from being stored so far."""
        return np.flatnonzero(self.broken & (_REJECTING | _LEAVING_OUT) == 0)


def check_quality(frame: BarFrame, context: QualityContext) -> QualityReport:
    """Hold a provider's bars to every rule.

    Pure and without a loop per bar: a million minutes take about half a second.

    Parameters
    ----------
    frame : BarFrame
        Rows of one symbol, in the order in which the provider gave them; all columns, raw prices,
        which may be NaN; FINAL on every bar but the one that is still forming.
    context : QualityContext
        What is known besides.

    Returns
    -------
    QualityReport
        See there. A row that breaks a rule by itself is not held against its neighbours, nor are
        they against it.
    """
    judgement = _Judgement(np.zeros(len(frame), np.int64))
    judgement.add(order_findings(frame.time_us), np.arange(len(frame)))
    _judge_rows(frame, context, judgement)
    standing = judgement.standing()
    times = frame.time_us[standing]
    if np.any(times[1:] <= times[:-1]):
        standing = standing[np.argsort(times, kind="stable")]
        repeats = repeat_findings(frame.take(standing))
        judgement.add(repeats, standing)
        standing = standing[judgement.broken[standing] & (_REJECTING | _LEAVING_OUT) == 0]
    if len(standing):
        _judge_series(frame, standing, context, judgement)
    return _report(frame, judgement)


def _judge_rows(frame: BarFrame, context: QualityContext, judgement: _Judgement) -> None:
    """Look at every row by itself. A bar that is forming is not looked at any further."""
    not_final = np.flatnonzero(frame.flags & BarFlag.FINAL == 0)
    judgement.add([Finding(QualityRule.FORMING, not_final)], np.arange(len(frame)))
    judgement.add(
        [Finding(QualityRule.EMPTY_ROW, np.flatnonzero(empty_rows(frame)))], np.arange(len(frame))
    )
    rows = judgement.standing()
    judgement.add(time_findings(_at(frame, rows), context.timeframe), rows)
    timed = judgement.standing()
    forming = np.flatnonzero(forming_rows(_at(frame, timed), context))
    judgement.add([Finding(QualityRule.FORMING, forming)], timed)
    left = judgement.broken[rows] & _LEAVING_OUT == 0
    rows = rows[left]
    judgement.add(value_findings(_at(frame, rows), context.tick_size), rows)
    rows = judgement.standing()
    sound = _at(frame, rows)
    judgement.add(vwap_findings(sound, context.tick_size), rows)
    if context.calendar is not None:
        judgement.add(session_findings(sound.time_us, context.timeframe, context.calendar), rows)


def _at(frame: BarFrame, rows: Int64Array) -> BarFrame:
    return frame if len(rows) == len(frame) else frame.take(rows)


def _judge_series(
    frame: BarFrame, standing: Int64Array, context: QualityContext, judgement: _Judgement
) -> None:
    """Look at the rows beside their neighbours; first what keeps one from being anybody's neighbour."""
    ordered = frame if np.array_equal(standing, np.arange(len(frame))) else frame.take(standing)
    series = series_of(ordered, context)
    judgement.add(scale_findings(series), standing)
    is_wrong = judgement.broken[standing] & QualityRule.SCALE_100X.bit != 0
    series, standing = series.without(is_wrong), standing[~is_wrong]
    if len(standing):
        judgement.add(spike_findings(series, context.timeframe), standing)
        judgement.add(split_findings(series), standing)
        judgement.add(stale_findings(series, context.timeframe), standing)


def _report(frame: BarFrame, judgement: _Judgement) -> QualityReport:
    broken = judgement.broken
    rejected = np.flatnonzero((broken & _REJECTING != 0) & (broken & _LEAVING_OUT == 0))
    kept = judgement.standing()
    flagged = kept[broken[kept] & _FLAGGING != 0]
    found = {finding.rule for finding in judgement.findings}
    forming = frame.time_us[broken & QualityRule.FORMING.bit != 0]
    suspicious = QualityRule.SPLIT_SHAPED_JUMP.bit | QualityRule.SCALE_100X.bit
    return QualityReport(
        accepted=_by_time(frame, kept)[0],
        rejected=_judged(frame, rejected, judgement),
        flagged=_judged(frame, flagged, judgement),
        counts={
            rule: int(np.count_nonzero(broken & rule.bit)) for rule in QualityRule if rule in found
        },
        suspects_split=bool(np.any(broken & suspicious)),
        forming_us=int(forming.min()) if len(forming) else None,
    )


def _by_time(frame: BarFrame, rows: Int64Array) -> tuple[BarFrame, Int64Array]:
    times = frame.time_us[rows]
    if np.any(times[1:] < times[:-1]):
        rows = rows[np.argsort(times, kind="stable")]
    return _at_rows(frame, rows), rows


def _at_rows(frame: BarFrame, rows: Int64Array) -> BarFrame:
    return frame if np.array_equal(rows, np.arange(len(frame))) else frame.take(rows)


def _judged(frame: BarFrame, rows: Int64Array, judgement: _Judgement) -> JudgedBars:
    judged, rows = _by_time(frame, rows)
    return JudgedBars(judged, judgement.broken[rows] & ~_COUNTING, _details(rows, judgement.findings))


def _details(rows: Int64Array, findings: Iterable[Finding]) -> tuple[str, ...]:
    """Join the notes about each row; only rows that somebody will look at cost anything."""
    notes: dict[int, list[str]] = {row: [] for row in rows.tolist()}
    for finding in findings:
        for row, note in zip(finding.rows.tolist(), finding.notes(), strict=True):
            if note and row in notes:
                notes[row].append(note)
    return tuple("; ".join(notes[row]) for row in rows.tolist())
