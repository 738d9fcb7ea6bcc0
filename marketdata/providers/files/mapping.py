"""Which column of a file holds what: asked for, or recognised by its header."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from marketdata.errors import BarFileError
from marketdata.providers.files.fields import (
    REQUIRED_FIELDS,
    FileField,
    normal_header,
    recognise,
)

_NUMBER: Final = re.compile(r"-?\d+[.,]?\d*")
_TIMES: Final = (FileField.TIME, FileField.DATE)


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """Where each field stands.

    Attributes
    ----------
    headers : tuple of str
        Of all columns of the file, in their order.
    positions : mapping of FileField to int
        Index into `headers`, in the order of `FileField`.
    """

    headers: tuple[str, ...]
    positions: Mapping[FileField, int]

    def describe(self) -> str:
        """Say what was recognised and what is left out, in a line for people."""
        taken = [
            f"{field.value} = {self.headers[self.positions[field]]!r}"
            for field in FileField
            if field in self.positions
        ]
        used = frozenset(self.positions.values())
        unused = [repr(header) for i, header in enumerate(self.headers) if i not in used]
        return ", ".join(taken) + (f"; not used: {', '.join(unused)}" if unused else "")


def parse_assignments(texts: Sequence[str]) -> dict[FileField, str]:
    """Read ``FIELD=COLUMN`` texts.

    Parameters
    ----------
    texts : sequence of str
        COLUMN is a header, ``#3`` for the third column, or empty: the file has no such column.

    Raises
    ------
    BarFileError
        A text has another form, or a field is assigned twice.
    """
    assigned: dict[FileField, str] = {}
    for text in texts:
        name, equals, column = text.partition("=")
        known = ", ".join(field.value for field in FileField)
        field = next((field for field in FileField if field.value == name.strip()), None)
        if not equals or field is None:
            raise BarFileError(f"--map {text}: write FIELD=COLUMN, with a FIELD of {known}")
        if field in assigned:
            raise BarFileError(f"--map {text}: {field.value} is assigned twice")
        assigned[field] = column.strip()
    return assigned


def map_columns(
    headers: Sequence[str], assigned: Mapping[FileField, str], *, has_one_symbol: bool
) -> ColumnMap:
    """Decide which column holds what.

    Parameters
    ----------
    headers : sequence of str
        Of all columns, in their order.
    assigned : mapping of FileField to str
        From `parse_assignments`; goes before what is recognised.
    has_one_symbol : bool
        Whether the symbol of all rows was given: then no column may hold one.

    Raises
    ------
    BarFileError
        With every problem: a column that is missing, stands twice or was not found, and how to say
        which it is.
    """
    problems: list[str] = []
    positions = {
        field: position
        for field, column in assigned.items()
        if column and (position := _find(headers, field, column, problems)) is not None
    }
    _recognise_others(headers, assigned, positions, problems)
    _check_symbol(headers, positions, problems, has_one_symbol=has_one_symbol)
    missing = [f for f in REQUIRED_FIELDS if f not in positions and not assigned.get(f)]
    if missing:
        options = " ".join(f"--map {field.value}=COLUMN" for field in missing)
        problems.append(
            f"no column was recognised for {', '.join(field.value for field in missing)};"
            f" say which it is: {options}"
        )
    if problems:
        problems.append(f"the columns are: {', '.join(repr(header) for header in headers)}")
        if any(_NUMBER.fullmatch(header) for header in headers):
            problems.append("if that is a bar already: --no-header")
        raise BarFileError("\n".join(problems))
    return ColumnMap(tuple(headers), {f: positions[f] for f in FileField if f in positions})


def _find(headers: Sequence[str], field: FileField, column: str, problems: list[str]) -> int | None:
    if column.startswith("#") and column[1:].isdecimal():
        if 1 <= int(column[1:]) <= len(headers):
            return int(column[1:]) - 1
        problems.append(f"--map {field.value}={column}: there are {len(headers)} columns")
        return None
    stripped = [header.strip() for header in headers]
    found = [i for i, header in enumerate(stripped) if header == column]
    found = found or [i for i, header in enumerate(stripped) if header.casefold() == column.casefold()]
    if len(found) == 1:
        return found[0]
    problems.append(
        f"--map {field.value}={column}: {_several(headers, field, found)}"
        if found
        else f"--map {field.value}={column}: there is no such column"
    )
    return None


def _several(headers: Sequence[str], field: FileField, found: Sequence[int]) -> str:
    listed = " and ".join(f"#{i + 1} {headers[i]!r}" for i in found)
    return f"{listed} could be {field.value}; say which it is: --map {field.value}=#{found[0] + 1}"


def _recognise_others(
    headers: Sequence[str],
    assigned: Mapping[FileField, str],
    positions: dict[FileField, int],
    problems: list[str],
) -> None:
    taken = frozenset(positions.values())
    found: dict[FileField, list[int]] = {}
    for i, field in enumerate(recognise(headers)):
        if field is not None and i not in taken:
            found.setdefault(field, []).append(i)
    if any(field in assigned for field in _TIMES):
        # Whoever says where the time is means it: a date beside it is not joined to it unasked.
        found = {field: where for field, where in found.items() if field not in _TIMES}
    elif not _is_date_and_time(headers, found):
        times = sorted(found.pop(FileField.TIME, []) + found.pop(FileField.DATE, []))
        found |= {FileField.TIME: times} if times else {}
    for field, where in found.items():
        if field in assigned:
            continue
        if len(where) > 1:
            problems.append(_several(headers, field, where))
        positions[field] = where[0]


def _is_date_and_time(headers: Sequence[str], found: Mapping[FileField, list[int]]) -> bool:
    dates, times = found.get(FileField.DATE, []), found.get(FileField.TIME, [])
    return len(dates) == len(times) == 1 and normal_header(headers[times[0]]) == "time"


def _check_symbol(
    headers: Sequence[str],
    positions: Mapping[FileField, int],
    problems: list[str],
    *,
    has_one_symbol: bool,
) -> None:
    position = positions.get(FileField.SYMBOL)
    if has_one_symbol and position is not None:
        problems.append(
            f"--symbol is given and column {headers[position]!r} holds symbols; leave --symbol out,"
            " or the column with --map symbol="
        )
    if not has_one_symbol and position is None:
        problems.append(
            "no column was recognised for symbol; give the symbol of all rows with --symbol AAPL,"
            " or say which column it is: --map symbol=COLUMN"
        )
