"""DeleteSymbol: what goes with a symbol, what stays, what the change log says."""

from datetime import timedelta
from typing import Any, Final, LiteralString

import grpc
import pytest
from bifrost.marketdata.v1.symbol_service_pb2 import DeleteSymbolRequest
from psycopg import sql

from marketdata.storage.embedded import ServerAddress
from marketdata.storage.stripes import stripes
from tests.contract.refusals import refusal_of
from tests.contract.requests import DAY, HOUR, MINUTE, OPEN_US, TUESDAY_US, add_bars
from tests.contract.service import Service, state
from tests.contract.symbol_calls import (
    RENAMED,
    REUSED,
    create,
    create_actions,
    day_us,
    delete,
    get,
    latest_day,
    list_pages,
    listed_days,
    rename,
    split,
)
from tests.support.databases import connected
from tests.support.rows import TABLES

TIMES_US: Final = {DAY: TUESDAY_US, HOUR: OPEN_US, MINUTE: OPEN_US}


def rows(database: ServerAddress, query: LiteralString | sql.Composed) -> list[tuple[Any, ...]]:
    """Look into the database."""
    with connected(database) as connection:
        return connection.execute(query).fetchall()


def latest_rows(database: ServerAddress) -> list[tuple[Any, ...]]:
    """List what `bar_latest` has."""
    return rows(
        database,
        "SELECT symbol, timeframe, (time AT TIME ZONE 'UTC')::date::text FROM bar_latest ORDER BY 1, 2",
    )


async def reused_ticker(service: Service) -> None:
    """FB is META since a day, and another company's a year later; all have bars."""
    await create(service, "FB", name="Facebook")
    await add_bars(service, [day_us("2022-06-07"), day_us("2022-06-08")], symbols=["FB"])
    await rename(service, "FB", "META", RENAMED)
    await add_bars(service, [day_us(RENAMED)], symbols=["META"])
    await create(service, "FB", name="ProShares", valid_from=REUSED)
    await add_bars(service, [day_us(REUSED), day_us(REUSED, 1)], symbols=["FB"])


async def test_delete_given_a_symbol_without_bars_deletes_it(
    service: Service, database: ServerAddress
) -> None:
    """Its validity and corporate actions go with it; the ticker is free again."""
    await create(service, "AAPL")
    await create_actions(service, "AAPL", split("2005-02-28", 2.0))
    assert await delete(service, "AAPL") == 0
    assert await list_pages(service, 10) == [[]]
    assert rows(database, "SELECT FROM symbol_validity") == []
    assert rows(database, "SELECT FROM market_corporate_action") == []
    assert rows(database, "SELECT kind, symbols FROM bar_change ORDER BY write_id DESC LIMIT 1") == [
        ("symbol", ["AAPL"])
    ]
    assert (await create(service, "AAPL")).symbol_id > 0


@pytest.mark.parametrize("timeframe", list(TIMES_US))
async def test_delete_given_bars_is_refused_and_changes_nothing(
    service: Service, database: ServerAddress, timeframe: Any
) -> None:
    """Whatever their timeframe, bars are not deleted by accident."""
    await create(service, "AAPL")
    await add_bars(service, [TIMES_US[timeframe]], timeframe)
    before = state(database)
    refusal = await refusal_of(delete(service, "AAPL"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SYMBOL_HAS_BARS")
    assert refusal.metadata["symbol"] == "AAPL"
    assert "force" in refusal.message
    assert state(database) == before


async def test_delete_given_bars_under_a_former_ticker_only_is_refused(service: Service) -> None:
    """They are its bars, whatever it is called now."""
    await create(service, "FB")
    await add_bars(service, [day_us("2022-06-08")], symbols=["FB"])
    await rename(service, "FB", "META", RENAMED)
    refusal = await refusal_of(delete(service, "META"))
    assert refusal.reason == "SYMBOL_HAS_BARS"


async def test_delete_given_force_deletes_the_bars_of_all_timeframes(
    service: Service, database: ServerAddress
) -> None:
    """The answer counts them, and nothing of it is left; other symbols keep theirs."""
    await create(service, "AAPL")
    await create(service, "IBM")
    for timeframe, time_us in TIMES_US.items():
        later_us = time_us + (timedelta(days=1) // timedelta(microseconds=1))
        for symbol in ("AAPL", "IBM"):
            await add_bars(service, [time_us, later_us], timeframe, symbols=[symbol])
    assert await delete(service, "AAPL", force=True) == 6
    assert {symbol for symbol, *_ in latest_rows(database)} == {"IBM"}
    for table in TABLES.values():
        query = sql.SQL("SELECT symbol, count(*) FROM {} GROUP BY 1").format(sql.Identifier(table))
        assert rows(database, query) == [("IBM", 2)]
    assert await list_pages(service, 10) == [["IBM"]]


async def test_delete_given_force_logs_what_went_in_one_write(
    service: Service, database: ServerAddress
) -> None:
    """A part for each range of bars, then the symbol under all its tickers; one seq for all."""
    await reused_ticker(service)
    (before,) = rows(database, "SELECT seq FROM bar_log_head")[0]
    assert await delete(service, "META", force=True) == 3
    query = """
        SELECT seq, part, kind, symbols, timeframe, (range_start AT TIME ZONE 'UTC')::date::text,
               (range_end AT TIME ZONE 'UTC')::date::text
          FROM bar_change JOIN bar_write USING (write_id) ORDER BY seq DESC, part LIMIT 3
    """
    assert rows(database, query) == [
        (before + 1, 0, "deleted", ["FB"], "1d", "1900-01-01", RENAMED),
        (before + 1, 1, "deleted", ["META"], "1d", RENAMED, "2100-01-01"),
        (before + 1, 2, "symbol", ["FB", "META"], None, None, None),
    ]


async def test_delete_given_reused_ticker_leaves_the_later_holders_bars(
    service: Service, database: ServerAddress
) -> None:
    """What was stored under FB before the reuse goes, and the newest bar under it stays."""
    await reused_ticker(service)
    assert await delete(service, "META", force=True) == 3
    assert await listed_days(service, "FB") == [REUSED, "2023-07-04"]
    assert await latest_day(service, "FB") == "2023-07-04"
    assert latest_rows(database) == [("FB", "1d", "2023-07-04")]


async def test_delete_given_the_later_holder_leaves_the_former_ones_bars(
    service: Service, database: ServerAddress
) -> None:
    """The newest bar under FB is then the one that META left there."""
    await reused_ticker(service)
    assert await delete(service, "FB", force=True) == 2
    assert await listed_days(service, "META") == ["2022-06-07", "2022-06-08", RENAMED]
    assert latest_rows(database) == [("FB", "1d", "2022-06-08"), ("META", "1d", RENAMED)]
    assert (await get(service, "FB")).symbol == "META"


async def test_delete_given_another_holders_bars_only_needs_no_force(service: Service) -> None:
    """Bars under the ticker in the time of another symbol are not its bars."""
    await create(service, "FB")
    await rename(service, "FB", "META", RENAMED)
    await create(service, "FB", valid_from=REUSED)
    await add_bars(service, [day_us(REUSED)], symbols=["FB"])
    assert await delete(service, "META") == 0
    assert await listed_days(service, "FB") == [REUSED]


async def test_delete_given_deleted_symbol_is_not_found(service: Service) -> None:
    """The second time there is nothing to delete."""
    await create(service, "AAPL")
    await delete(service, "AAPL")
    refusal = await refusal_of(delete(service, "AAPL"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "SYMBOL_NOT_FOUND")


async def test_delete_given_symbol_created_again_starts_without_bars(service: Service) -> None:
    """Nothing of the deleted one joins the new one."""
    await create(service, "AAPL")
    await add_bars(service, [TUESDAY_US])
    await delete(service, "AAPL", force=True)
    await create(service, "AAPL")
    assert await listed_days(service, "AAPL") == []


@pytest.mark.modes("plain", "apache", reason="two transactions at once")
async def test_delete_given_locked_stripe_waits_for_its_writer(
    service: Service, database: ServerAddress
) -> None:
    """It takes the locks that writers of its bars take, under every ticker and in every table."""
    await create(service, "FB")
    await rename(service, "FB", "META", RENAMED)
    (stripe,) = stripes(["FB"])
    for table in (0x42410001, 0x42410002, 0x42410003):
        with connected(database) as writer:
            writer.execute("SELECT pg_advisory_lock(%s, %s)", [table, stripe])
            call = service.symbols.DeleteSymbol(DeleteSymbolRequest(symbol="META"), timeout=0.3)
            assert (await refusal_of(call)).code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (await get(service, "META")).symbol == "META"
