"""The frames of a stream joined, each column copied once."""

from collections.abc import Sequence

from marketdata.domain.bar_merge import merge_frames
from marketdata.domain.bars import BarFrame


def joined(frames: Sequence[BarFrame], symbols: tuple[str, ...]) -> BarFrame:
    """Join the frames of a stream in order, into arrays of their own.

    Parameters
    ----------
    frames : sequence of BarFrame
        Views of the messages that they came in; none for an answer without bars.
    symbols : tuple of str
        The dictionary of an answer without bars.
    """
    if not frames:
        return BarFrame.empty(symbols)
    first = frames[0]
    alike = all(
        frame.symbols == first.symbols
        and frame.feeds == first.feeds
        and bool(len(frame.symbol_index)) == bool(len(first.symbol_index))
        for frame in frames
    )
    return BarFrame.concatenate(frames) if alike else merge_frames(frames)
