"""Frames with dictionaries of their own put together."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from marketdata.domain.bars import BarFrame, Int16Array, Int32Array


def merge_frames(frames: Sequence[BarFrame]) -> BarFrame:
    """Join frames in order, whatever dictionaries each has.

    Parameters
    ----------
    frames : sequence of BarFrame
        At least one; all with the same columns present.

    Returns
    -------
    BarFrame
        `symbols` has every symbol once, in the order in which they first appear; `feeds` likewise,
        with keys from 0.
    """
    symbols = _positions(symbol for frame in frames for symbol in frame.symbols)
    feeds = _positions(name for frame in frames for name in frame.feeds.values())
    return BarFrame.concatenate(
        [
            replace(
                frame,
                symbols=tuple(symbols),
                symbol_index=_symbol_index(frame, symbols),
                feed=_feed(frame, feeds),
                feeds={position: name for name, position in feeds.items()},
            )
            for frame in frames
        ]
    )


def _positions(texts: Iterable[str]) -> dict[str, int]:
    return {text: position for position, text in enumerate(dict.fromkeys(texts))}


def _symbol_index(frame: BarFrame, symbols: dict[str, int]) -> Int32Array:
    lookup = np.array([symbols[symbol] for symbol in frame.symbols], np.int32)
    return lookup[frame.row_symbol_index()]


def _feed(frame: BarFrame, feeds: dict[str, int]) -> Int16Array:
    if len(frame.feed) == 0:
        return frame.feed
    lookup = np.zeros(max(frame.feeds) + 1, np.int16)
    lookup[list(frame.feeds)] = [feeds[name] for name in frame.feeds.values()]
    return lookup[frame.feed]
