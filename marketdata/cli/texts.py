"""Texts that several commands say."""

from collections.abc import Sequence
from typing import Final

_MOST_NAMED_SYMBOLS: Final = 10


def named(symbols: Sequence[str]) -> str:
    """Name symbols in a line: the first ones, and how many more there are."""
    more = len(symbols) - _MOST_NAMED_SYMBOLS
    return ", ".join(symbols[:_MOST_NAMED_SYMBOLS]) + (f" and {more:,} more" if more > 0 else "")
