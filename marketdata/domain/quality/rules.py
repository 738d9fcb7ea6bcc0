"""The rules of quality: what each is called, how grave it is, and what to do about it."""

from collections.abc import Iterable
from enum import Enum


class Severity(Enum):
    """What becomes of a bar that breaks a rule; the value is its label in SQL, commands and docs."""

    INVALID = "invalid"
    """Quarantined, and never stored: no reader could make sense of it."""
    REJECT = "reject"
    """Quarantined; a person may release it."""
    FLAG = "flag"
    """Stored, and listed for a person to look at."""
    COUNT = "count"
    """Only counted: left out or put in order, with nothing for a person to decide."""


class QualityRule(Enum):
    """A rule; the member's name is what it is called everywhere.

    Those that `bar_rules` has, too, go by the same names there. The table in docs/quality.md is
    held to this one by a test.

    Attributes
    ----------
    severity : Severity
        What becomes of a bar that breaks it.
    description : str
        What is wrong, and what to do about it, for people.
    """

    severity: Severity
    description: str

    TIME_OUT_OF_BOUNDS = (
        Severity.INVALID,
        (
            "the time lies outside of what bars of the timeframe may have: the provider's times were"
            " misread; report it, and drop the bar"
        ),
    )
    TIME_NOT_ALIGNED = (
        Severity.INVALID,
        (
            "the time is not the open of a bar of the timeframe: the provider's times were misread;"
            " report it, and drop the bar"
        ),
    )
    NOT_FINITE = (
        Severity.INVALID,
        "a price is NaN or infinite, as before the open: fetch the range again later, and drop the bar",
    )
    NOT_POSITIVE = (
        Severity.INVALID,
        (
            "a price is zero or negative, as in a snapshot before the open: fetch the range again,"
            " and drop the bar"
        ),
    )
    HIGH_NOT_HIGHEST = (
        Severity.INVALID,
        "high is below open, low or close: fetch the range from another provider, and drop the bar",
    )
    LOW_NOT_LOWEST = (
        Severity.INVALID,
        "low is above open or close: fetch the range from another provider, and drop the bar",
    )
    NEGATIVE_VOLUME = (
        Severity.INVALID,
        "volume is negative or infinite: fetch the range again, and drop the bar",
    )
    VWAP_NOT_POSITIVE = (
        Severity.INVALID,
        "vwap is not a price: fetch the range again, and drop the bar",
    )
    NEGATIVE_TRADE_COUNT = (
        Severity.INVALID,
        "trade_count is below -1: fetch the range again, and drop the bar",
    )
    OUTSIDE_OF_SESSION = (
        Severity.REJECT,
        (
            "the bar lies outside of all hours of its symbol's calendar, in the night, on a holiday or"
            " in a lunch break: release it where the calendar is wrong, drop it where the provider is"
        ),
    )
    NOT_A_SESSION = (
        Severity.REJECT,
        (
            "a daily bar of a date without a session: release it where the calendar is wrong, drop it"
            " where the provider is"
        ),
    )
    NOT_AT_SESSION_ANCHOR = (
        Severity.REJECT,
        (
            "the bar does not begin a whole number of timeframes after the session's open, so it may"
            " mix hours: drop it; hours are made from minutes"
        ),
    )
    DUPLICATE_TIME = (
        Severity.REJECT,
        (
            "another bar of the same time, with other values, stood before it and was taken: compare"
            " the two; release this one to replace the other, or drop it"
        ),
    )
    SCALE_100X = (
        Severity.REJECT,
        (
            "prices are a hundred times, or a hundredth of, those around: pence for pounds; drop it and"
            " fetch the range again, or release it where the price did move so"
        ),
    )
    SPLIT_SHAPED_JUMP = (
        Severity.FLAG,
        (
            "the price moved by the ratio of a split from one session to the next, and no split is"
            " known, or one that the prices do not show: look for it, and create the corporate action"
        ),
    )
    SPIKE = (
        Severity.FLAG,
        (
            "the close leaves those of its neighbours and comes back at once: compare it with another"
            " provider; delete the bar where it is wrong, release it where it is right"
        ),
    )
    LONE_EXTREME = (
        Severity.FLAG,
        (
            "high or low lies far from the rest of the bar and from its neighbours: compare it with"
            " another provider; delete the bar where it is wrong, release it where it is right"
        ),
    )
    VWAP_OUTSIDE_OF_RANGE = (
        Severity.FLAG,
        (
            "vwap lies outside of low and high, as with trades that do not count for these: release it"
            " where that is known of the provider"
        ),
    )
    STALE_REPEAT = (
        Severity.FLAG,
        (
            "prices and volume repeat those of the bars before, all of them: the provider's feed stood"
            " still; fetch the range again later"
        ),
    )
    ZERO_VOLUME_REPEAT = (
        Severity.FLAG,
        (
            "nothing was traded and the last price is repeated, bar after bar: the provider fills gaps;"
            " delete the bars, or release them where that does not matter"
        ),
    )
    FORMING = (
        Severity.COUNT,
        "the bar had not ended: left out, and fetched again once it has",
    )
    EMPTY_ROW = (
        Severity.COUNT,
        "a row without prices and volume, as where nothing was traded: left out",
    )
    DUPLICATE_ROW = (
        Severity.COUNT,
        "the same row twice: taken once",
    )
    TIME_NOT_ASCENDING = (
        Severity.COUNT,
        "the row stood behind a later one: sorted",
    )

    def __init__(self, severity: Severity, description: str) -> None:
        self.severity = severity
        self.description = description

    @property
    def bit(self) -> int:
        """What stands for it in `JudgedBars.broken`."""
        return _BITS[self]


_BITS = {rule: 1 << number for number, rule in enumerate(QualityRule)}


def bits_of(rules: Iterable[QualityRule]) -> int:
    """Join the bits of some rules."""
    return sum({rule.bit for rule in rules})


def rules_of(bits: int) -> tuple[QualityRule, ...]:
    """List the rules of joined bits, in the enum's order."""
    return tuple(rule for rule in QualityRule if rule.bit & bits)


def rules_that(*severities: Severity) -> int:
    """Join the bits of all rules of some severities."""
    return bits_of(rule for rule in QualityRule if rule.severity in severities)
