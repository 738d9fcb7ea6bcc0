"""Rows of a file that are left out, with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass

from marketdata.domain.bars import Int64Array


@dataclass(frozen=True, slots=True, eq=False)
class RejectedRows:
    """Rows that break one rule. A row can break several.

    Attributes
    ----------
    rule : str
        UPPER_SNAKE name, stable; those of bars are `check_bars`'s.
    field : str
        What the offending value was to be: the name of a `FileField`; empty where it is the row.
    description : str
        For people: what is wrong and what to do, after the name of the field.
    lines : int64[k]
        Where the rows begin: lines of a CSV file from 1, rows of a Parquet file from 1.
    values : sequence of str
        The k offending values as people may see them.
    """

    rule: str
    field: str
    description: str
    lines: Int64Array
    values: Sequence[str]


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """One row that breaks one rule; attributes as those of `RejectedRows`."""

    line: int
    rule: str
    field: str
    value: str
    description: str


def first_rows(rejected: Sequence[RejectedRows], most: int) -> list[RejectedRow]:
    """List the first `most` rows of `rejected`, by line."""
    rows = [
        RejectedRow(line, group.rule, group.field, value, group.description)
        for group in rejected
        for line, value in zip(group.lines[:most].tolist(), group.values[:most], strict=True)
    ]
    return sorted(rows, key=lambda row: row.line)[:most]
