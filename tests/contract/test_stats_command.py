"""What ``marketdata stats`` says of a running service."""

import json

from tests.contract.commands import Commands
from tests.contract.known import Known
from tests.contract.service import Service


async def test_stats_given_service_shows_a_line_a_timeframe(commands: Commands, known: Known) -> None:
    """Days are dates, other times have minutes; what nothing compresses has no ratio."""
    found = await commands.run("stats", "--address", known.service.address)
    assert (found.code, found.err) == (0, "")
    minutes, hours, daily = found.table()
    assert minutes[:7] == ["1m", "2024-01-02", "14:30", "2024-01-02", "20:59", "390", "1"]
    assert hours[5:7] == ["7", "1"]
    assert daily[:5] == ["1d", "2024-01-02", "2024-01-11", "23", "3"]
    assert daily[-2:] == ["1", "0"]


async def test_stats_given_a_symbol_counts_its_bars(commands: Commands, known: Known) -> None:
    """Without sizes: a symbol's bars share their pages with others."""
    commands.use_service(known.service.address)
    found = await commands.run("stats", "AAPL")
    assert found.table() == [["1d", "2024-01-02", "2024-01-11", "10"]]
    assert "size" not in found.out
    unknown = await commands.run("stats", "NOPE")
    assert (unknown.code, unknown.out) == (1, "")
    assert "NOPE" in unknown.err


async def test_stats_given_json_writes_what_programs_need(commands: Commands, known: Known) -> None:
    """Numbers as numbers, times as ISO 8601, what is missing as null; CSV has the same fields."""
    commands.use_service(known.service.address)
    found = await commands.run("stats", "--json")
    rows = [json.loads(line) for line in found.out.splitlines()]
    assert [row["timeframe"] for row in rows] == ["1m", "1h", "1d"]
    size_bytes = rows[2].pop("size_bytes")
    assert size_bytes > 0
    assert rows[2] == {
        "timeframe": "1d", "rows": 23, "rows_estimated": False, "symbols": 3,
        "first_time": "2024-01-02", "last_time": "2024-01-11", "partitions": 1,
        "compressed_partitions": 0, "bytes_before_compression": 0, "bytes_after_compression": 0,
        "compression_ratio": None,
    }  # fmt: skip
    header = (await commands.run("stats", "--csv")).out.splitlines()[0]
    assert set(header.split(",")) == {*rows[2], "size_bytes"}


async def test_stats_given_no_bars_says_so(commands: Commands, service: Service) -> None:
    """On standard error: a pipe gets nothing."""
    found = await commands.run("stats", "--address", service.address)
    assert (found.code, found.out) == (0, "")
    assert "no bars yet" in found.err
