"""What quality is judged by, and what comes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from marketdata.domain.bars import BarFrame, Int64Array
from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.quality.rules import QualityRule, rules_of
from marketdata.domain.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class QualityContext:
    """What is known besides the bars themselves.

    Attributes
    ----------
    timeframe : Timeframe
        What each bar covers.
    calendar : SessionCalendar or None
        Of the symbol; None: bars are not held to sessions.
    now_us : int
        Unix microseconds.
    tick_size : float or None
        Smallest price step, quote currency, where known.
    before : BarFrame
        The accepted bars of the symbol right before the first one, ascending, all columns; a few, or
        none. They are not judged again.
    actions : sequence of CorporateAction
        Of the symbol, whose ex-dates lie among the bars; others do no harm.
    """

    timeframe: Timeframe
    calendar: SessionCalendar | None
    now_us: int
    tick_size: float | None
    before: BarFrame
    actions: Sequence[CorporateAction] = ()


@dataclass(frozen=True, slots=True, eq=False)
class JudgedBars:
    """Bars with the rules that they break.

    Attributes
    ----------
    frame : BarFrame
        The rows as given, by time; prices may be NaN.
    broken : int64[n]
        Bits of `QualityRule`; `rules_of` lists them.
    details : tuple of str
        What is wrong with each, for people, with the values that show it; as many as rows.
    """

    frame: BarFrame
    broken: Int64Array
    details: tuple[str, ...]

    def __len__(self) -> int:
        """How many bars."""
        return len(self.frame)

    def rules(self) -> list[tuple[QualityRule, ...]]:
        """List the rules of each row."""
        named = {bits: rules_of(bits) for bits in set(self.broken.tolist())}
        return [named[bits] for bits in self.broken.tolist()]


@dataclass(frozen=True, slots=True, eq=False)
class QualityReport:
    """What became of a provider's bars.

    Every row that was given is in `accepted`, in `rejected`, or counted by a rule of severity COUNT
    that leaves it out. `flagged` are rows of `accepted`.

    Attributes
    ----------
    accepted : BarFrame
        What is to be stored: by time, no time twice, all columns.
    rejected, flagged : JudgedBars
        What goes to the quarantine: instead of being stored, and besides.
    counts : mapping of QualityRule to int
        Rows that break each rule; only rules that some row breaks. A row can break several.
    suspects_split : bool
        Whether prices moved as by a split that is not among the actions: worth asking the provider.
    forming_us : int or None
        Time of the first row that had not ended, Unix microseconds, as given; None where all had.
    """

    accepted: BarFrame
    rejected: JudgedBars
    flagged: JudgedBars
    counts: Mapping[QualityRule, int]
    suspects_split: bool
    forming_us: int | None
