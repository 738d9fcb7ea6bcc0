"""What people read: plain tables on standard output, everything else on standard error."""

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

# A pipe has no width: nothing is cut there.
_PIPE_WIDTH: Final = 200
# Columns that rich puts between two of a table.
_BETWEEN: Final = 2
# Of texts that may wrap; less would be a word a line.
_LEAST_WIDE: Final = 20

OUT: Final = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
ERR: Final = Console(stderr=True, highlight=False)


def print_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    wide: str = "",
    numbers_from: int,
    spare: Sequence[str] = (),
) -> None:
    """Print a table; what a narrow terminal has no room for is left out whole, and named.

    Parameters
    ----------
    headings : sequence of str
        One a column.
    rows : iterable of sequence of str or Text
        As many texts each; a plain one is printed as it is, without a style.
    wide : str
        Heading of the one column whose texts may wrap.
    numbers_from : int
        Columns from here on are aligned to the right.
    spare : sequence of str
        Headings of the columns that may be left out, the first ones first. A number that is cut in the
        middle would be another number.
    """
    cells = [list(row) for row in rows]
    shown, left_out = _fitting(headings, cells, wide, spare)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for position in shown:
        heading = headings[position]
        justify = "right" if position >= numbers_from else "left"
        table.add_column(heading, justify=justify, no_wrap=heading != wide)  # type: ignore[arg-type]
    for row in cells:
        # As Text: rich would take a name such as "Class A [/NV]" for markup, and fail.
        table.add_row(
            *(cell if isinstance(cell, Text) else Text(cell) for cell in map(row.__getitem__, shown))
        )
    OUT.print(table)
    if left_out:
        ERR.print(f"No room for: {', '.join(left_out)}. A wider terminal or a pipe shows all.")


def _fitting(
    headings: Sequence[str], rows: list[list[str | Text]], wide: str, spare: Sequence[str]
) -> tuple[list[int], list[str]]:
    """Choose the columns that there is room for; return their positions, and what is left out."""
    widths = [
        max([cell_len(heading), *(cell_len(str(row[position])) for row in rows)])
        for position, heading in enumerate(headings)
    ]
    if wide in headings:
        place = headings.index(wide)
        widths[place] = min(widths[place], _LEAST_WIDE)
    shown, left_out = list(range(len(headings))), []
    for heading in spare:
        if sum(widths[position] + _BETWEEN for position in shown) - _BETWEEN <= OUT.width:
            break
        if heading in headings:
            shown.remove(headings.index(heading))
            left_out.append(heading)
    return shown, left_out
