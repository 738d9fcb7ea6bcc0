"""GetBarStatistics on the wire, there and back."""

from dataclasses import replace
from typing import Final

from marketdata.client.bar_messages import from_statistics
from marketdata.domain.bar_statistics import TimeframeStatistics
from marketdata.domain.timeframe import Timeframe
from marketdata.wire.bars_upkeep import to_proto_statistics

LINE: Final = TimeframeStatistics(
    Timeframe.MINUTE_1,
    rows=1_000,
    symbols=2,
    first_us=1_704_205_800_000_000,
    last_us=1_704_229_140_000_000,
    is_estimate=True,
    size_bytes=5_000,
    partitions=4,
    compressed_partitions=3,
    bytes_before_compression=9_000,
    bytes_after_compression=3_000,
)


def test_statistics_given_every_figure_arrive_as_they_were() -> None:
    """Each under its own name, and the ratio computed once on either side."""
    sent = to_proto_statistics(LINE)
    got = from_statistics(sent)
    assert (got.timeframe, got.rows, got.symbols) == (LINE.timeframe, LINE.rows, LINE.symbols)
    assert (got.size_bytes, got.partitions) == (LINE.size_bytes, LINE.partitions)
    assert got.rows_estimated
    assert got.compressed_partitions == LINE.compressed_partitions
    assert got.bytes_before_compression == LINE.bytes_before_compression
    assert got.bytes_after_compression == LINE.bytes_after_compression
    assert got.compression_ratio == sent.compression_ratio == 3.0
    assert got.last.timestamp() * 1_000_000 == LINE.last_us


def test_statistics_given_nothing_compressed_have_no_ratio() -> None:
    """Not 0, not 1: there is none."""
    sent = to_proto_statistics(replace(LINE, bytes_before_compression=0, bytes_after_compression=0))
    assert not sent.HasField("compression_ratio")
    assert from_statistics(sent).compression_ratio is None
