"""Rows for pipes: JSON, an object a line, or CSV."""

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any, Final, TextIO

import numpy as np
import typer

from marketdata.domain.bars import Int64Array
from marketdata.domain.timeframe import Timeframe

# What a shell reports of a command that Ctrl-C ended.
INTERRUPTED: Final = 130
# What the csv module would write as Python spells it.
_NOT_OF_CSV: Final = frozenset({bool, dict, list})


class RowForm(Enum):
    """How rows are written."""

    JSON = "json"
    CSV = "csv"

    @classmethod
    def chosen(cls, *, as_json: bool, as_csv: bool) -> "RowForm | None":
        """Turn the two options into a form; None where a person reads the answer."""
        if as_json:
            return cls.JSON
        return cls.CSV if as_csv else None


class RowWriter:
    """Writes rows to standard output; used within `piped`.

    Parameters
    ----------
    form : RowForm
        JSON has null where a value is missing, CSV an empty cell. Floats have as many digits as it
        takes to read them back exactly.
    fields : sequence of str
        Names of the values of a row, in their order. CSV begins with them, also without any row.
    """

    def __init__(self, form: RowForm, fields: Sequence[str]) -> None:
        self._fields = fields
        self._stream: TextIO = sys.stdout
        self._csv = csv.writer(self._stream, lineterminator="\n") if form is RowForm.CSV else None
        if self._csv is not None:
            self._csv.writerow(fields)

    def write(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write rows, and let whoever reads the pipe have them at once."""
        if self._csv is not None:
            # A test of the type in place: a call for each cell would take a third of the whole time.
            self._csv.writerows(
                [_json(value) if type(value) in _NOT_OF_CSV else value for value in row] for row in rows
            )
        else:
            for row in rows:
                self._stream.write(_json(dict(zip(self._fields, row, strict=True))) + "\n")
        self._stream.flush()


@contextmanager
def piped() -> Iterator[None]:
    """End a command quietly where whoever reads its output has had enough (`| head`)."""
    try:
        yield
    except BrokenPipeError:
        # Python flushes what is left when it ends, and would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from None


def iso_times(time_us: Int64Array, timeframe: Timeframe) -> list[str]:
    """Write times of bars as ISO 8601: instants in UTC, and of daily bars the session date.

    Parameters
    ----------
    time_us : int64[n]
        Unix microseconds, at whole seconds.
    """
    is_daily = timeframe is Timeframe.DAY_1
    texts = np.datetime_as_string(time_us.astype("datetime64[us]"), unit="D" if is_daily else "s")
    return [text if is_daily else f"{text}Z" for text in texts.tolist()]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
