"""What people read: plain tables on standard output, everything else on standard error."""

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

# A pipe has no width: nothing is cut there.
_PIPE_WIDTH: Final = 200

OUT: Final = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
ERR: Final = Console(stderr=True, highlight=False)


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[str | Text]], *, wide: str = "", numbers_from: int
) -> None:
    """Print a table.

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
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for position, heading in enumerate(headings):
        justify = "right" if position >= numbers_from else "left"
        table.add_column(heading, justify=justify, no_wrap=heading != wide)  # type: ignore[arg-type]
    for row in rows:
        # As Text: rich would take a name such as "Class A [/NV]" for markup, and fail.
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    OUT.print(table)
