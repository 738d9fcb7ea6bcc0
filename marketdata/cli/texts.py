"""Texts that several commands say."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final

_MOST_NAMED_SYMBOLS: Final = 10


def named(symbols: Sequence[str]) -> str:
    """Name symbols in a line: the first ones, and how many more there are."""
    more = len(symbols) - _MOST_NAMED_SYMBOLS
    return ", ".join(symbols[:_MOST_NAMED_SYMBOLS]) + (f" and {more:,} more" if more > 0 else "")


def help_of(command: Callable[..., Any]) -> str:
    """Give the docstring of a command with a line a paragraph.

    Terminals have other widths than the source, and typer keeps the breaks of all but the first one.
    """
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
