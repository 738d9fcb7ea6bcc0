"""What waits for a slow subscriber, made shorter: the latest bar of each symbol and timeframe."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from marketdata.domain.bar_merge import merge_frames
from marketdata.domain.bars import BarFrame
from marketdata.domain.subscription import (
    BarsChange,
    CaughtUp,
    Heartbeat,
    ResumePoint,
    SubscriptionEvent,
)
from marketdata.domain.timeframe import Timeframe


def conflate(waiting: Sequence[SubscriptionEvent], told: ResumePoint | None) -> list[SubscriptionEvent]:
    """Replace the bars that wait by the latest of each symbol and timeframe, marked.

    What is not about bars one by one stays, before them. Only the last event resumes behind all of
    them: a subscriber that resumed behind another one would miss bars.

    Parameters
    ----------
    waiting : sequence of SubscriptionEvent
        Not empty, in order.
    told : ResumePoint or None
        Behind what was told before.

    Returns
    -------
    list of SubscriptionEvent
        In order, at least one.
    """
    last = waiting[-1]
    others = [e for e in waiting if not isinstance(e.change, BarsChange | CaughtUp | Heartbeat)]
    frames: dict[Timeframe, list[BarFrame]] = {}
    for event in waiting:
        if isinstance(event.change, BarsChange):
            frames.setdefault(event.change.timeframe, []).extend(event.change.frames)
    bars = [
        SubscriptionEvent(
            BarsChange((latest_bars(merge_frames(own)),), timeframe, is_conflated=True),
            last.seq,
            told,
        )
        for timeframe, own in frames.items()
    ]
    live = [e for e in waiting if isinstance(e.change, CaughtUp)]
    beats = [] if others or bars or live else [last]
    kept = [replace(e, resume=told, key=None) for e in (*others, *bars, *live, *beats)]
    return [*kept[:-1], replace(kept[-1], seq=last.seq, resume=last.resume)]


def latest_bars(frame: BarFrame) -> BarFrame:
    """Keep of each symbol the bar with the greatest time; of several versions of it, the last."""
    index = frame.row_symbol_index()
    # Stable by position: what stands last of a symbol is its newest bar in its newest version.
    order = np.lexsort((np.arange(len(frame)), frame.time_us, index))
    is_last = np.append(np.diff(index[order]) > 0, True)
    return frame.take(np.sort(order[is_last])).with_used_symbols()
