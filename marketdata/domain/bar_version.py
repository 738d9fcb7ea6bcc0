"""Versions of a bar: what it said, and from when until when."""

from dataclasses import dataclass
from typing import NamedTuple

from marketdata.domain.bar_row import BarRow


class VersionPosition(NamedTuple):
    """The place of a version in a list: the time of its bar, Unix microseconds, and its seq."""

    time_us: int
    seq: int


@dataclass(frozen=True, slots=True)
class BarVersion:
    """What a bar said, and from when until when.

    Attributes
    ----------
    bar : BarRow
        The bar, raw.
    seq : int
        Of the write that stored it; 0 where that is not kept any more.
    known_us : int or None
        When that was committed, Unix microseconds.
    superseded_seq : int
        Of the write that replaced or deleted it; 0 where it stands.
    superseded_us : int or None
        When that was committed.
    is_deleted : bool
        Whether that write deleted it.
    """

    bar: BarRow
    seq: int
    known_us: int | None
    superseded_seq: int
    superseded_us: int | None
    is_deleted: bool
