"""What is stored, counted."""

from dataclasses import dataclass

from marketdata.domain.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class TimeframeStatistics:
    """What is stored of one timeframe.

    Attributes
    ----------
    timeframe : Timeframe
        One that is stored.
    rows : int
        How many bars.
    symbols : int
        How many symbols have bars.
    first_us, last_us : int
        Times of the first and the last bar, Unix microseconds.
    is_estimate : bool
        Whether `rows` is an estimate; the other figures never are.
    size_bytes, partitions : int
        On disk with indexes; 0 for one symbol.
    compressed_partitions : int
        How many of them are compressed; 0 for one symbol.
    bytes_before_compression, bytes_after_compression : int
        What those took before they were compressed, and right after it; 0 for one symbol.
    """

    timeframe: Timeframe
    rows: int
    symbols: int
    first_us: int
    last_us: int
    is_estimate: bool = False
    size_bytes: int = 0
    partitions: int = 0
    compressed_partitions: int = 0
    bytes_before_compression: int = 0
    bytes_after_compression: int = 0
