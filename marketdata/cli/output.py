"""What people read: plain tables on standard output, everything else on standard error."""

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

# A pipe has no width: nothing is cut there.
_PIPE_WIDTH: Final = 200

OUT: Final = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
ERR: Final = Console(stderr=True, highlight=False)


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, wide: str = "", numbers_from: int
) -> None:
    """Print a table.

    Parameters
    ----------
    headings : sequence of str
        One a column.
    rows : iterable of sequence of str
        As many texts each.
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
        table.add_row(*row)
    OUT.print(table)
