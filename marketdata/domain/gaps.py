"""Gaps: stretches of time without the bars that are expected, each with why they are missing."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from marketdata.domain.bars import Int64Array
from marketdata.domain.calendar import Int8Array


class GapReason(IntEnum):
    """Why bars are not there; `gap_causes` says which one wins where several hold."""

    MISSING = 1
    FAILED = 2
    NO_TRADES = 3
    PROVIDER_HAS_NONE = 4
    BEYOND_HISTORY = 5
    QUARANTINED = 6


@dataclass(frozen=True, slots=True)
class GapCause:
    """Why bars are missing, and who says so.

    Attributes
    ----------
    reason : GapReason
        In a word.
    message : str
        For people, with what to do where there is something to do.
    provider : str
        Whose answer, or failure, it is; empty where it is nobody's.
    retry_us : int or None
        When the provider is worth asking again, Unix microseconds; None where nobody knows.
    """

    reason: GapReason
    message: str
    provider: str = ""
    retry_us: int | None = None


#: Of bars about which nothing is known.
UNKNOWN: Final = GapCause(
    GapReason.MISSING,
    "no provider was asked for this time; marketdata ingest backfill asks one",
)


@dataclass(frozen=True, slots=True, eq=False)
class Gaps:
    """Stretches of time without the bars that are expected, as columns.

    Attributes
    ----------
    start_us, end_us : int64[g]
        Half-open, Unix microseconds, ascending: the open of the first missing bar and the end of the
        last; for daily bars session labels, the end a day after the last missing one.
    missing : int64[g]
        How many bars are missing, at least 1.
    cause : int64[g]
        Why: a row of `causes`.
    causes : tuple of GapCause
        The causes that there can be; some may be of no gap.
    """

    start_us: Int64Array
    end_us: Int64Array
    missing: Int64Array
    cause: Int64Array
    causes: tuple[GapCause, ...] = (UNKNOWN,)

    def __len__(self) -> int:
        """How many gaps."""
        return len(self.start_us)

    @property
    def reason(self) -> Int8Array:
        """The `GapReason` of each gap, int8[g]."""
        reasons: Int8Array = np.array([cause.reason for cause in self.causes], np.int8)[self.cause]
        return reasons
