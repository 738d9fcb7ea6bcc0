"""A table of the tests by storage mode, at the end of a run that had more than one of them.

Nothing is missing from it: what was skipped, and what was left out because it does not hold in a mode,
is counted with its reason.
"""

from collections import Counter
from typing import Final

import pytest

from marketdata.storage.modes import StorageMode
from tests.support.mode_selection import LEFT_OUT, NO_MODE, chosen_modes

_OUTCOMES: Final = ("passed", "failed", "skipped", "left out")


class ModeMatrix:
    """Counts the outcomes of tests by their mode."""

    def __init__(self) -> None:
        self._outcomes: dict[tuple[str, str], str] = {}
        self._reasons: Counter[tuple[str, str, str]] = Counter()

    def add(self, report: pytest.TestReport) -> None:
        """Count one phase of a test; its worst outcome counts."""
        mode = dict(report.user_properties).get("mode", NO_MODE)
        test = (str(mode), report.nodeid)
        if report.failed:
            self._outcomes[test] = "failed"  # an error of a fixture too
        elif report.skipped:
            self._outcomes[test] = "skipped"
            self._reasons[str(mode), "skipped", _reason_of(report)] += 1
        elif report.when == "call":
            self._outcomes.setdefault(test, "passed")

    def leave_out(self, mode: str, reason: str) -> None:
        """Count a test that does not hold in `mode`."""
        self._reasons[mode, "left out", reason] += 1

    def lines(self) -> list[str]:
        """Give the table, and the reasons below it."""
        counts = Counter((mode, outcome) for (mode, _), outcome in self._outcomes.items())
        for (mode, outcome, _), count in self._reasons.items():
            if outcome == "left out":
                counts[mode, outcome] += count
        names = [NO_MODE, *(mode.value for mode in StorageMode)]
        lines = [" ".join(["mode     ", *(f"{outcome:>9}" for outcome in _OUTCOMES)])]
        for name in names:
            row = [counts[name, outcome] for outcome in _OUTCOMES]
            if any(row):
                lines.append(" ".join([f"{name:9}", *(f"{count:9,}" for count in row)]))
        for (mode, outcome, reason), count in sorted(self._reasons.items()):
            lines.append(f"{mode}: {count:,} {outcome}: {reason}")
        return lines


MATRIX: Final = pytest.StashKey[ModeMatrix]()


class _Collector:
    def __init__(self, matrix: ModeMatrix) -> None:
        self._matrix = matrix

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._matrix.add(report)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count."""
    config.stash[MATRIX] = ModeMatrix()
    config.pluginmanager.register(_Collector(config.stash[MATRIX]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table; pytest's own closing line comes after it."""
    if chosen_modes(config) == [StorageMode.PLAIN]:
        return
    matrix = config.stash[MATRIX]
    for mode, reason in config.stash[LEFT_OUT]:
        matrix.leave_out(mode, reason)
    terminalreporter.section("tests by mode")
    for line in matrix.lines():
        terminalreporter.write_line(line)


def _reason_of(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return f"expected to fail: {report.wasxfail}"
    # A skip is told as its path, its line and a text.
    return (
        str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else "?"
    )
