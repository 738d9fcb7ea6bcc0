"""One rule broken by some rows: what every check returns."""

from dataclasses import dataclass

from marketdata.domain.bars import BarFrame, Float64Array, Int64Array
from marketdata.domain.quality.rules import QualityRule


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """Some rows that break a rule.

    Attributes
    ----------
    rule : QualityRule
        The rule.
    rows : int64[k]
        Positions, ascending, in the frame that was looked at.
    note : str
        What shows it, with ``{}`` for the row's value; may be empty.
    values : float64[k] or None
        The value of each row; None where the note has none.
    """

    rule: QualityRule
    rows: Int64Array
    note: str = ""
    values: Float64Array | None = None

    def notes(self) -> list[str]:
        """Write the note of each row."""
        if self.values is None:
            return [self.note] * len(self.rows)
        return [self.note.format(value) for value in self.values.tolist()]

    def at(self, positions: Int64Array) -> "Finding":
        """Return the same about the frame that the rows were taken from, at these positions."""
        return Finding(self.rule, positions[self.rows], self.note, self.values)


def row_values(frame: BarFrame, column: str, rows: Int64Array) -> Float64Array:
    """Take the values of a column that a note tells."""
    values: Float64Array = getattr(frame, column)[rows].astype(float)
    return values
