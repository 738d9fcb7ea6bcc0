"""CreateBars: stored once, counted bar by bar, acknowledged with its place in the change log."""

import math

import pytest
from bifrost.marketdata.v1 import bar_pb2, timeframe_pb2
from bifrost.marketdata.v1.bars_service_pb2 import (
    CreateBarsResponse,
    ListBarsRequest,
    RejectedSymbol,
)

from marketdata.storage.embedded import ServerAddress
from tests.contract.requests import (
    DAY,
    HOUR,
    MINUTE,
    MINUTE_US,
    OPEN_US,
    TUESDAY_US,
    add_symbols,
    batch,
    create,
)
from tests.contract.service import Service, state
from tests.contract.streams import daily, stream
from tests.support.bars import days

DAYS_US = tuple(TUESDAY_US + days(n) for n in range(3))


@pytest.mark.parametrize("timeframe", [DAY, HOUR, MINUTE])
async def test_create_bars_given_new_bars_accepts_them(
    service: Service, timeframe: timeframe_pb2.Timeframe.ValueType
) -> None:
    """Every stored timeframe takes bars, and what was acknowledged reads back as it was sent."""
    await add_symbols(service, "AAPL")
    width_us = {DAY: days(1), HOUR: 60 * MINUTE_US, MINUTE: MINUTE_US}[timeframe]
    times_us = [(TUESDAY_US if timeframe == DAY else OPEN_US) + n * width_us for n in range(4)]
    sent = batch(times_us, timeframe, vwap=[10.5, math.nan, 11.5, 12.5], trade_count=[1, -1, 3, 4])
    response = await service.bars.CreateBars(
        create(times_us, timeframe, vwap=sent.vwap, trade_count=sent.trade_count)
    )
    assert (response.accepted, response.seq > 0) == (4, True)
    request = ListBarsRequest(symbol="AAPL", timeframe=timeframe)
    for row, bar in enumerate((await service.bars.ListBars(request)).bars):
        assert bar.time.ToMicroseconds() == times_us[row]
        assert (bar.open, bar.high) == (sent.open[row], sent.high[row])
        assert (bar.low, bar.close) == (sent.low[row], sent.close[row])
        assert bar.volume == sent.volume[row]
        assert bar.HasField("vwap") == bar.HasField("trade_count") == (row != 1)


async def test_create_bars_given_same_bars_again_changes_nothing(
    service: Service, database: ServerAddress
) -> None:
    """A client may send again what it does not know the fate of: no row, no revision, no log entry."""
    await add_symbols(service, "AAPL")
    request = create(DAYS_US, volume=[math.nan, 0.0, 3.0])
    first = await service.bars.CreateBars(request)
    before = state(database)
    again = await service.bars.CreateBars(request)
    assert first == CreateBarsResponse(accepted=3, seq=first.seq)
    assert again == CreateBarsResponse(unchanged=3, seq=0)
    assert state(database) == before


async def test_create_bars_given_other_values_revises(service: Service) -> None:
    """Each bar is counted once: new, changed or as it was; only changed ones rise in revision."""
    await add_symbols(service, "AAPL")
    await service.bars.CreateBars(create(DAYS_US[:2], close=[11.0, 11.5]))
    response = await service.bars.CreateBars(create(DAYS_US, close=[11.0, 11.75, 12.5]))
    assert (response.accepted, response.unchanged, response.revised) == (1, 1, 1)
    found = await stream(service, daily("AAPL"))
    assert [row[2:] for row in found.rows("close", "revision")] == [
        (11.0, 0),
        (11.75, 1),
        (12.5, 0),
    ]
    assert response.seq == found.header.snapshot_seq


async def test_create_bars_given_lower_ranked_feed_leaves_the_higher_one(
    service: Service, database: ServerAddress
) -> None:
    """A provider's bar never replaces one that outranks it, and the answer says so."""
    await add_symbols(service, "AAPL")
    await service.bars.CreateBars(create(DAYS_US[:1], feeds=["manual/upload"], close=[11.0]))
    before = state(database)
    request = create(DAYS_US[:1], feeds=["sample/eod"], close=[11.5])
    response = await service.bars.CreateBars(request)
    assert response == CreateBarsResponse(outranked=1)
    assert state(database) == before


async def test_create_bars_given_feed_a_row_stores_each(service: Service) -> None:
    """One batch can hold bars of several feeds; reads say the feed of each."""
    await add_symbols(service, "AAPL")
    feeds = ["sample/eod", "manual/upload"]
    request = create(DAYS_US, feeds=feeds, feed_index=[0, 1, 0])
    assert (await service.bars.CreateBars(request)).accepted == 3
    listed = await service.bars.ListBars(ListBarsRequest(symbol="AAPL", timeframe=DAY))
    assert [bar.feed for bar in listed.bars] == ["sample/eod", "manual/upload", "sample/eod"]
    (found,) = (await stream(service, daily("AAPL"))).batches
    assert [found.feeds[index] for index in found.feed_index] == [bar.feed for bar in listed.bars]


async def test_create_bars_given_known_and_unknown_symbols_rejects_by_symbol(
    service: Service,
) -> None:
    """Unknown symbols are named with their bars, one line each; the others' bars are stored."""
    await add_symbols(service, "AAPL", "IBM")
    request = create(
        [*DAYS_US, *DAYS_US],
        symbols=["NOPE", "IBM", "AAPL", "ZZZZ", "QQQQ"],
        symbol_index=[2, 0, 1, 0, 3, 2],
        time_us=[DAYS_US[0], DAYS_US[0], DAYS_US[0], DAYS_US[1], DAYS_US[0], DAYS_US[1]],
    )
    response = await service.bars.CreateBars(request)
    assert response == CreateBarsResponse(
        accepted=3,
        rejected=3,
        rejected_symbols=[
            RejectedSymbol(symbol="NOPE", reason="SYMBOL_NOT_FOUND", bars=2),
            RejectedSymbol(symbol="ZZZZ", reason="SYMBOL_NOT_FOUND", bars=1),
        ],
        seq=response.seq,
    )
    found = await stream(service, daily("AAPL", "IBM"))
    assert [row[:2] for row in found.rows()] == [
        ("AAPL", DAYS_US[0]),
        ("AAPL", DAYS_US[1]),
        ("IBM", DAYS_US[0]),
    ]


async def test_create_bars_given_only_unknown_symbols_stores_nothing(
    service: Service, database: ServerAddress
) -> None:
    """Rejected is an answer, not an error; nothing is written."""
    before = state(database)
    response = await service.bars.CreateBars(create(DAYS_US, symbols=["NOPE"]))
    assert response == CreateBarsResponse(
        rejected=3,
        rejected_symbols=[RejectedSymbol(symbol="NOPE", reason="SYMBOL_NOT_FOUND", bars=3)],
    )
    assert state(database) == before


async def test_create_bars_given_columns_of_the_service_ignores_them(service: Service) -> None:
    """Nobody sends a revision or a flag: what comes in these columns changes nothing."""
    await add_symbols(service, "AAPL")
    request = create(DAYS_US[:1], flags=[7, 7, 7], revision=[9])
    assert (await service.bars.CreateBars(request)).accepted == 1
    listed = await service.bars.ListBars(ListBarsRequest(symbol="AAPL", timeframe=DAY))
    assert [(bar.is_final, bar.derived, bar.revision) for bar in listed.bars] == [(True, False, 0)]


async def test_create_bars_given_unknown_fields_passes_over_them(service: Service) -> None:
    """A later client's fields are no error, nor are columns of another type than ours."""
    await add_symbols(service, "AAPL")
    later = b"\xf8\x07\x01" + b"\x33\x34" + b"\x30\x01"  # a new field, a group, `open` as a varint
    request = create(DAYS_US)
    request.batch.MergeFromString(later)
    assert (await service.bars.CreateBars(request)).accepted == 3


async def test_create_bars_given_the_most_bars_takes_them(service: Service) -> None:
    """Five thousand bars are one transaction."""
    await add_symbols(service, "AAPL")
    times_us = [OPEN_US + n * MINUTE_US for n in range(5_000)]
    response = await service.bars.CreateBars(create(times_us, MINUTE))
    assert response == CreateBarsResponse(accepted=5_000, seq=response.seq)


async def test_create_bars_given_prices_off_by_float_noise_takes_them(service: Service) -> None:
    """Vendors' prices went through binary floats: the order of prices is held to a tolerance."""
    await add_symbols(service, "AAPL")
    request = create(DAYS_US[:1], open=[236.89], high=[236.889999], low=[236.88], close=[236.89])
    assert (await service.bars.CreateBars(request)).accepted == 1


async def test_create_bars_given_raw_adjustment_takes_it(service: Service) -> None:
    """Raw may be said or left out."""
    await add_symbols(service, "AAPL")
    request = create(DAYS_US, adjustment=bar_pb2.ADJUSTMENT_RAW)
    assert (await service.bars.CreateBars(request)).accepted == 3
