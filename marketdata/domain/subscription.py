"""What a subscriber asks for, and what he is told."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Final

from marketdata.domain.bar_merge import merge_frames
from marketdata.domain.bars import BarFrame
from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.log_position import LogPosition
from marketdata.domain.timeframe import Timeframe

#: What stands alone in a list of symbols for all of them.
ALL_SYMBOLS: Final = "*"

_FINGERPRINT_BYTES: Final = 16
_PERSON: Final = b"bar-filter"


class SlowReaderPolicy(Enum):
    """What becomes of a subscriber that reads more slowly than bars change."""

    DISCONNECT = "disconnect"
    CONFLATE = "conflate"


class RangeReason(Enum):
    """Why a range is to be read again.

    LOST is the client's own: the service could not resume a subscription, and what changed meanwhile is
    not known one by one.
    """

    MANY_BARS = "many bars"
    DELETED = "deleted"
    RETENTION = "retention"
    LOST = "lost"


# Without slots: the fingerprint is kept beside the fields.
@dataclass(frozen=True)
class SubscriptionFilter:
    """What a subscription is about; tokens are bound to it.

    Attributes
    ----------
    symbols : tuple of str
        As asked for, without repeats; empty: all of them.
    timeframes : frozenset of Timeframe
        Stored ones, at least one.
    """

    symbols: tuple[str, ...]
    timeframes: frozenset[Timeframe]

    @cached_property
    def fingerprint(self) -> bytes:
        """Tell this filter from others, whatever the order of its symbols; 16 bytes."""
        # No ticker has a line break or a space.
        labels = " ".join(sorted(timeframe.value for timeframe in self.timeframes))
        text = "\n".join([labels, *sorted(self.symbols)])
        return hashlib.blake2b(text.encode(), digest_size=_FINGERPRINT_BYTES, person=_PERSON).digest()


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Behind what a subscriber was told.

    Attributes
    ----------
    position : LogPosition
        The last write that was told as a whole, or does not concern the subscriber.
    parts : int
        How many entries of the next write were told too.
    """

    position: LogPosition
    parts: int = 0


# Without slots: the joined frame is kept beside the fields.
@dataclass(frozen=True, eq=False)
class BarsChange:
    """Bars as they are now.

    Attributes
    ----------
    frames : tuple of BarFrame
        In the order of changes, at least one.
    timeframe : Timeframe
        Of them.
    is_stored : bool
        Whether they are stored ones, that were asked for with a start.
    is_conflated : bool
        Whether bars before them were left out.
    """

    frames: tuple[BarFrame, ...]
    timeframe: Timeframe
    is_stored: bool = False
    is_conflated: bool = False

    @cached_property
    def frame(self) -> BarFrame:
        """All bars as one frame; joined when somebody asks, since most of what is told is encoded."""
        return self.frames[0] if len(self.frames) == 1 else merge_frames(self.frames)

    @property
    def rows(self) -> int:
        """How many bars."""
        return sum(map(len, self.frames))


@dataclass(frozen=True, slots=True)
class RangeChange:
    """Bars of a range changed or went, and are not told one by one; no symbols: all of them."""

    symbols: tuple[str, ...]
    timeframe: Timeframe
    start_us: int
    end_us: int
    reason: RangeReason
    description: str = ""


@dataclass(frozen=True, slots=True)
class ActionsChange:
    """Corporate actions of a symbol that became known at once."""

    symbol: str
    actions: Sequence[CorporateAction]


@dataclass(frozen=True, slots=True)
class SymbolsChange:
    """Symbols that were created, changed, renamed or deleted, each with whether it is known now."""

    known: Sequence[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The subscription began, or was resumed: its symbols, each with whether it names something."""

    known: Sequence[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """Everything up to now was told."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing happened that concerns the subscriber."""


Change = BarsChange | RangeChange | ActionsChange | SymbolsChange | Subscribed | CaughtUp | Heartbeat


# Compared by identity: a frame is not equal to anything.
@dataclass(frozen=True, slots=True, eq=False)
class SubscriptionEvent:
    """Something that a subscriber is told.

    Attributes
    ----------
    change : Change
        What.
    seq : int
        Position in the change log.
    resume : ResumePoint or None
        Behind it; None while it cannot be resumed there.
    key : tuple or None
        What is the same for all subscribers who are told exactly the same; None where nobody else is.
    """

    change: Change
    seq: int
    resume: ResumePoint | None
    key: tuple[object, ...] | None = None

    @property
    def size_bytes(self) -> int:
        """About what it takes in memory while it waits."""
        if isinstance(self.change, BarsChange):
            return _EVENT_BYTES + self.change.rows * _BAR_BYTES
        if isinstance(self.change, RangeChange):
            return _EVENT_BYTES + len(self.change.symbols) * _TEXT_BYTES
        return _EVENT_BYTES


# Objects and numbers; eleven columns and an index; a place in a tuple, since the texts are shared.
_EVENT_BYTES: Final = 600
_BAR_BYTES: Final = 80
_TEXT_BYTES: Final = 8
