"""Entries of the change log, as readers get them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import ALL_COLUMNS, BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.bar_rows import decode_frame
from marketdata.storage.change_log import ChangeKind

# What an entry takes in memory besides its bars, symbols and reason: objects, times, counts.
_ENTRY_BYTES: Final = 600
# A str of ASCII letters has a head of 49 bytes, and a place of 8 in its tuple.
_TEXT_BYTES: Final = 57


# Without slots: the decoded bars are kept beside the fields.
@dataclass(frozen=True)
class LogEntry:
    """One entry of the change log.

    Attributes
    ----------
    seq, part : int
        Which transaction, in the order of commits, and which of its entries, from 0.
    committed_us : int
        When it was committed, Unix microseconds; never less than that of an earlier seq.
    kind : ChangeKind
        What it is about.
    symbols : tuple of str
        The tickers concerned, as stored; empty: all of them.
    timeframe : Timeframe or None
        Of which bars.
    start_us, end_us : int or None
        Range within which answers change, Unix microseconds, half-open.
    accepted, revised : int
        Bars stored for the first time, and bars replaced.
    reason : str
        Why, where somebody said so.
    inline : bytes or None
        The changed bars as rows of the COPY codec; None where there are none, or too many.
    feeds : mapping of int to str
        Names of the feeds that the bars tell by their ids.
    """

    seq: int
    part: int
    committed_us: int
    kind: ChangeKind
    symbols: tuple[str, ...]
    timeframe: Timeframe | None
    start_us: int | None
    end_us: int | None
    accepted: int
    revised: int
    reason: str
    inline: bytes | None = field(repr=False)
    feeds: Mapping[int, str] = field(repr=False, compare=False)

    @cached_property
    def bars(self) -> BarFrame | None:
        """The changed bars, all columns and their new revisions, decoded once; None where not inline.

        Entries are shared by all who read the log: nobody changes the arrays.
        """
        if self.inline is None:
            return None
        return decode_frame(self.inline, ALL_COLUMNS, self.symbols, self.feeds, many=True)

    @cached_property
    def rows_by_symbol(self) -> Mapping[str, npt.NDArray[np.int64]]:
        """Where the bars of each ticker stand in `bars`, in their order; made once for all readers.

        Who wants a few of 5,000 tickers then pays for those only.
        """
        if self.bars is None:
            return {}
        if len(self.symbols) == 1:
            return {self.symbols[0]: np.arange(len(self.bars))}
        index = self.bars.row_symbol_index()
        order = np.argsort(index, kind="stable")
        bounds = np.searchsorted(index, np.arange(1, len(self.symbols)), sorter=order)
        return dict(zip(self.symbols, np.split(order, bounds), strict=True))

    @property
    def has_bars_elsewhere(self) -> bool:
        """Whether too many bars changed to stand in the entry: they are read from their table."""
        return self.kind is ChangeKind.BARS and self.inline is None

    @cached_property
    def size_bytes(self) -> int:
        """About what the entry takes in memory, undecoded."""
        texts = sum(map(len, self.symbols)) + _TEXT_BYTES * len(self.symbols) + len(self.reason)
        return _ENTRY_BYTES + texts + len(self.inline or b"")


def entry_of(row: tuple[Any, ...], feeds: Mapping[int, str]) -> LogEntry:
    """Make an entry of a row of the log, whose columns are its fields in their order."""
    seq, part, committed_us, kind, symbols, timeframe, start_us, end_us = row[:8]
    accepted, revised, reason, inline = row[8:]
    return LogEntry(
        seq=seq,
        part=part,
        committed_us=committed_us,
        kind=ChangeKind(kind),
        symbols=tuple(symbols),
        timeframe=Timeframe(timeframe) if timeframe else None,
        start_us=start_us,
        end_us=end_us,
        accepted=accepted,
        revised=revised,
        reason=reason,
        inline=inline,
        feeds=feeds,
    )
