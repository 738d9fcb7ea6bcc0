"""What is known of the time in which bars of one symbol and timeframe are missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from marketdata.domain.bars import Int64Array
from marketdata.domain.range_sets import RangeSet


@dataclass(frozen=True, slots=True)
class ProviderAnswers:
    """The time of which a provider gave all that it has.

    Attributes
    ----------
    provider : str
        Its name.
    ranges : RangeSet
        That time, also where it had nothing; without what was deleted since, or is not kept any more.
    first_us, last_us : int or None
        Between which bars it gave any at all, both inclusive, Unix microseconds; None: it never did.
    """

    provider: str
    ranges: RangeSet
    first_us: int | None
    last_us: int | None


@dataclass(frozen=True, slots=True)
class ProviderFailure:
    """The time for which a provider was asked in vain, and that it did not give since.

    Attributes
    ----------
    provider : str
        Its name.
    ranges : RangeSet
        That time.
    error : str
        What it failed with last.
    retry_us : int or None
        When it is worth asking again, Unix microseconds; None where nobody knows.
    """

    provider: str
    ranges: RangeSet
    error: str
    retry_us: int | None


_NONE_ASIDE: Final[Mapping[str, Int64Array]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class GapKnowledge:
    """What is known of one symbol and timeframe within a range.

    Attributes
    ----------
    answers : tuple of ProviderAnswers
        By provider, ascending.
    failures : tuple of ProviderFailure
        By provider, ascending.
    quarantined_us : mapping of str to int64[n]
        Times of the bars in quarantine that nobody decided of, ascending, by provider.
    deleted : RangeSet
        Within which bars were deleted, and no provider was asked since.
    kept_from_us : int or None
        Retention has dropped, or would drop, what is older, Unix microseconds; None: it drops nothing.
    targets : frozenset of str
        The providers of the targets that want these bars.
    """

    answers: tuple[ProviderAnswers, ...] = ()
    failures: tuple[ProviderFailure, ...] = ()
    quarantined_us: Mapping[str, Int64Array] = field(default_factory=lambda: _NONE_ASIDE)
    deleted: RangeSet = ()
    kept_from_us: int | None = None
    targets: frozenset[str] = frozenset()


#: Nobody was asked for anything.
NOTHING_KNOWN: Final = GapKnowledge()
