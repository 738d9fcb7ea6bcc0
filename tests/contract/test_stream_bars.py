"""StreamBars: one header, batches of columns, one trailer, all of one snapshot."""

import time
from typing import Final

import pytest
from bifrost.marketdata.v1 import bar_pb2, timeframe_pb2
from bifrost.marketdata.v1.bars_service_pb2 import ListBarsRequest, StreamBarsRequest

from marketdata.storage.embedded import ServerAddress
from marketdata.storage.read_sql import FIRST_WINDOW_BARS
from marketdata.storage.read_steps import BLOCK_ROWS
from tests.contract.known import AAPL_DAYS_US, IBM_DAYS_US, MSFT_MINUTES_US, SYMBOLS, Known
from tests.contract.requests import (
    DAY,
    MINUTE,
    TUESDAY_US,
    add_bars,
    add_symbols,
    session_minutes,
    stamp,
    stamp_us,
)
from tests.contract.service import Service
from tests.contract.streams import daily, held, held_up, partition_of, rest_of, stream
from tests.support.bars import days

DESCENDING: Final = bar_pb2.BAR_ORDER_SYMBOL_TIME_DESCENDING
COLUMN_FIELDS: Final = {
    bar_pb2.BAR_COLUMN_OPEN: "open",
    bar_pb2.BAR_COLUMN_HIGH: "high",
    bar_pb2.BAR_COLUMN_LOW: "low",
    bar_pb2.BAR_COLUMN_CLOSE: "close",
    bar_pb2.BAR_COLUMN_VOLUME: "volume",
    bar_pb2.BAR_COLUMN_VWAP: "vwap",
    bar_pb2.BAR_COLUMN_TRADE_COUNT: "trade_count",
    bar_pb2.BAR_COLUMN_FLAGS: "flags",
    bar_pb2.BAR_COLUMN_REVISION: "revision",
}


async def test_stream_bars_given_range_says_in_the_header_what_was_applied(known: Known) -> None:
    """Timeframe, adjustment, order and range are those of the request; unknown symbols are listed."""
    before_us = time.time_ns() // 1_000
    start, end = stamp("2024-01-03"), stamp("2024-01-05")
    symbols = ("IBM", "NOPE", "BRK.B", "ZZZZ")
    request = daily(*symbols, start_time=start, end_time=end, order=DESCENDING)
    found = await stream(known.service, request)
    header = found.header
    assert before_us <= header.read_time.ToMicroseconds() <= time.time_ns() // 1_000
    assert (header.timeframe, header.order) == (DAY, DESCENDING)
    assert header.adjustment == bar_pb2.ADJUSTMENT_RAW
    assert (header.start_time, header.end_time) == (start, end)
    assert list(header.unresolved_symbols) == ["NOPE", "ZZZZ"]
    assert header.snapshot_seq == known.seq
    assert found.rows() == [("IBM", IBM_DAYS_US[0])]


async def test_stream_bars_given_no_range_says_the_one_it_took(known: Known) -> None:
    """Defaults are answered too: from the earliest that there can be up to now, ascending."""
    header = (await stream(known.service, daily("AAPL"))).header
    assert header.start_time == stamp("1900-01-01")
    assert header.end_time.ToMicroseconds() == header.read_time.ToMicroseconds()
    assert header.order == bar_pb2.BAR_ORDER_SYMBOL_TIME


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(("symbol", "timeframe"), [("AAPL", DAY), ("MSFT", MINUTE)])
async def test_stream_bars_given_symbol_equals_the_pages_of_list_bars(
    known: Known, symbol: str, timeframe: timeframe_pb2.Timeframe.ValueType, *, descending: bool
) -> None:
    """The bulk form and the readable form are the same bars in the same order."""
    order = DESCENDING if descending else bar_pb2.BAR_ORDER_SYMBOL_TIME
    list_request = ListBarsRequest(symbol=symbol, timeframe=timeframe, order=order, page_size=1_000)
    listed = (await known.service.bars.ListBars(list_request)).bars
    request = StreamBarsRequest(symbols=[symbol], timeframe=timeframe, order=order)
    found = await stream(known.service, request)
    assert found.rows("open", "high", "low", "close", "volume", "revision") == [
        (symbol, b.time.ToMicroseconds(), b.open, b.high, b.low, b.close, b.volume, b.revision)
        for b in listed
    ]
    assert all(flags == 1 for *_, flags in found.rows("flags"))
    assert {feed for batch in found.batches for feed in batch.feeds} == {"manual/upload"}
    assert (found.trailer.rows, found.trailer.complete) == (len(listed), True)


@pytest.mark.parametrize("descending", [False, True])
async def test_stream_bars_given_many_symbols_keeps_the_order_of_the_request(
    known: Known, *, descending: bool
) -> None:
    """Symbol by symbol as asked for, times in order within each; one without bars is no error."""
    order = DESCENDING if descending else bar_pb2.BAR_ORDER_UNSPECIFIED
    found = await stream(known.service, daily("IBM", "BRK.B", "AAPL", order=order))
    assert [(symbol, time_us) for symbol, time_us, *_ in found.rows()] == [
        *(("IBM", time_us) for time_us in sorted(IBM_DAYS_US, reverse=descending)),
        *(("AAPL", time_us) for time_us in sorted(AAPL_DAYS_US, reverse=descending)),
    ]
    assert not found.header.unresolved_symbols


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_stream_bars_given_limit_gives_the_last_of_each_symbol(
    known: Known, limit: int, *, descending: bool
) -> None:
    """The last bars of the range, each symbol for itself, whichever way they are ordered."""
    order = DESCENDING if descending else bar_pb2.BAR_ORDER_SYMBOL_TIME
    request = daily("AAPL", "IBM", limit=limit, order=order, end_time=stamp_us(AAPL_DAYS_US[8]))
    found = await stream(known.service, request)
    for symbol, times_us in (("AAPL", AAPL_DAYS_US[:8]), ("IBM", IBM_DAYS_US)):
        expected = sorted(times_us[-limit:], reverse=descending)
        assert [time_us for name, time_us in found.rows() if name == symbol] == expected
    assert found.trailer.rows == len(found.rows())


async def test_stream_bars_given_range_is_half_open(known: Known) -> None:
    """The start is in, the end is not."""
    first, last = MSFT_MINUTES_US[5], MSFT_MINUTES_US[9]
    request = StreamBarsRequest(
        symbols=["MSFT"], timeframe=MINUTE, start_time=stamp_us(first), end_time=stamp_us(last)
    )
    found = await stream(known.service, request)
    assert [time_us for _, time_us in found.rows()] == list(MSFT_MINUTES_US[5:9])


@pytest.mark.parametrize("column", COLUMN_FIELDS)
async def test_stream_bars_given_column_sends_it_and_the_times_only(
    known: Known, column: bar_pb2.BarColumn.ValueType
) -> None:
    """A column that was not asked for is empty; the times always come."""
    found = await stream(known.service, daily("AAPL", columns=[column]))
    (batch,) = found.batches
    sent = {name for name in (*COLUMN_FIELDS.values(), "feed_index") if len(getattr(batch, name))}
    assert sent == {COLUMN_FIELDS[column]}
    assert list(batch.time_us) == list(AAPL_DAYS_US)
    assert not batch.feeds


async def test_stream_bars_given_feed_column_sends_the_dictionary(known: Known) -> None:
    """Where all rows are of one feed its dictionary says it all."""
    columns = [bar_pb2.BAR_COLUMN_FEED, bar_pb2.BAR_COLUMN_FEED]
    (batch,) = (await stream(known.service, daily("AAPL", columns=columns))).batches
    assert list(batch.feeds) == ["manual/upload"]
    assert not batch.feed_index
    assert not batch.close


@pytest.mark.parametrize(
    "request_",
    [
        daily("NOPE"),
        daily("BRK.B"),
        daily("AAPL", end_time=stamp_us(TUESDAY_US)),
        daily(*(f"N{n}" for n in range(5_000))),
    ],
)
async def test_stream_bars_given_nothing_to_send_is_a_complete_stream(
    known: Known, request_: StreamBarsRequest
) -> None:
    """Header and trailer come all the same, and the trailer says that this was all."""
    found = await stream(known.service, request_)
    assert not found.rows()
    assert (found.trailer.rows, found.trailer.complete) == (0, True)
    assert list(found.header.unresolved_symbols) == [s for s in request_.symbols if s not in SYMBOLS]


async def test_stream_bars_given_writes_says_the_seq_that_it_holds(service: Service) -> None:
    """The snapshot has every change up to its seq: a subscription can go on from there."""
    await add_symbols(service, "AAPL")
    for number in range(3):
        seq = await add_bars(service, [TUESDAY_US + days(number)])
        found = await stream(service, daily("AAPL"))
        assert found.header.snapshot_seq == seq
        assert len(found.rows()) == number + 1


@pytest.mark.modes("plain", reason="it locks a native partition")
async def test_stream_bars_given_write_while_it_runs_shows_what_its_seq_says(
    service: Service, database: ServerAddress
) -> None:
    """A bar that is committed while a stream is under way is in it exactly where its seq is."""
    await add_symbols(service, "AAPL")
    await add_bars(service, [TUESDAY_US])
    with held(database, partition_of(database, TUESDAY_US)):
        call = await held_up(service, daily("AAPL"))
        # Far enough to stand in another partition, which nobody holds.
        seq = await add_bars(service, [TUESDAY_US + days(60)])
    found = await rest_of(call)
    expected = [TUESDAY_US]
    if found.header.snapshot_seq >= seq:
        expected.append(TUESDAY_US + days(60))
    assert [time_us for _, time_us in found.rows()] == expected


async def test_stream_bars_given_long_answer_starts_with_a_small_batch(service: Service) -> None:
    """The first batch leaves early; later ones are large, and all together are every bar once."""
    count = FIRST_WINDOW_BARS + BLOCK_ROWS + 100
    await add_symbols(service, "AAPL")
    times_us = session_minutes(count)
    for first in range(0, count, 5_000):
        await add_bars(service, times_us[first : first + 5_000], MINUTE)
    found = await stream(service, StreamBarsRequest(symbols=["AAPL"], timeframe=MINUTE))
    first, *others = [len(batch.time_us) for batch in found.batches]
    assert 1_000 <= first <= 4_000
    assert 10_000 <= max(others) <= BLOCK_ROWS
    assert [time_us for _, time_us in found.rows()] == times_us
    assert found.trailer.rows == count


async def test_stream_bars_given_client_that_cancels_frees_its_connection(
    service: Service, database: ServerAddress
) -> None:
    """A reader that leaves in the middle costs nothing: the connection is back and the backend idle."""
    await add_symbols(service, "AAPL")
    await add_bars(service)
    with held(database):
        call = await held_up(service, daily("AAPL"))
        assert call.cancel()
        await service.until_busy("streams", 0)
    assert len((await stream(service, daily("AAPL"))).rows()) == 1
