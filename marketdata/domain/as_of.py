"""Points in time at which this store is asked what it knew."""

from dataclasses import dataclass, field

from marketdata.domain.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class AsOf:
    """A point in time, by seq or by time: exactly one is given.

    Attributes
    ----------
    seq : int or None
        Position in the change log: what was committed up to it is known.
    time_us : int or None
        Unix microseconds: what was committed by then is known.
    """

    seq: int | None = None
    time_us: int | None = None


@dataclass(frozen=True, slots=True)
class KnownWrites:
    """The writes that were known at a point in time.

    write_ids are handed out before writes commit: the greatest known one bounds them, but for a few
    smaller ones that were under way.

    Attributes
    ----------
    seq : int
        The last change of the log that was known.
    time_us : int
        The point in time, Unix microseconds: asked for, else when `seq` was committed.
    greatest : int
        write_id: none beyond is known.
    overtaken : tuple of int
        write_ids below `greatest` that are not known: they committed later.
    revised : frozenset of Timeframe
        Whose bars can have versions among those that are read that were superseded since; others are
        read as they stand.
    """

    seq: int
    time_us: int
    greatest: int
    overtaken: tuple[int, ...] = ()
    revised: frozenset[Timeframe] = field(default_factory=lambda: frozenset(Timeframe))
