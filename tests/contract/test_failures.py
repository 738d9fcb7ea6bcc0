"""What fails on the service's side: typed, with a retry where one helps, and never a secret."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import grpc
import psycopg
import pytest
from bifrost.marketdata.v1.bars_service_pb2 import GetLatestBarRequest, ListBarsRequest
from bifrost.marketdata.v1.symbol_service_pb2 import (
    CreateSymbolRequest,
    GetSymbolRequest,
    ListSymbolsRequest,
)
from psycopg import sql

from marketdata.storage.embedded import ServerAddress
from tests.contract.refusals import Refusal, refusal_of, stream_refusal_of
from tests.contract.requests import DAY, add_bars, add_symbols, create
from tests.contract.service import CALL_SECONDS, Service, serving, state
from tests.contract.streams import daily, held, held_up, stream, waiting_backends
from tests.support.databases import connected
from tests.support.waiting import until

HEALTH_NAMES: Final = (
    "",
    "db",
    "bifrost.marketdata.v1.BarsService",
    "bifrost.marketdata.v1.SymbolService",
)
CANARY: Final = "canary-6f1d-secret"


@dataclass
class Switch:
    """Where a service looks for its database: a test can take it away and give it back."""

    there: ServerAddress
    closed_port: int
    is_up: bool = True

    def address(self) -> ServerAddress:
        """Tell the address of the moment."""
        return self.there if self.is_up else replace(self.there, port=self.closed_port)

    def take_away(self) -> None:
        """Refuse new connections and end those that there are."""
        self.is_up = False
        self.end_sessions()

    def give_back(self) -> None:
        """Let the service find its database again."""
        self.is_up = True

    def end_sessions(self) -> None:
        """End every session of the service, as a restart of PostgreSQL does, and wait until it has."""
        with connected(self.there) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture
def switch(database: ServerAddress) -> Iterator[Switch]:
    """Give a database that can be taken away."""
    with socket.socket() as bound:  # bound and not listening: connections are refused
        bound.bind(("127.0.0.1", 0))
        yield Switch(database, bound.getsockname()[1])


async def every_refusal(service: Service) -> dict[str, Refusal]:
    """Call every method, each of which must fail."""
    bars, symbols = service.bars, service.symbols
    calls: dict[str, Any] = {
        "GetLatestBar": bars.GetLatestBar(GetLatestBarRequest(symbol="AAPL")),
        "ListBars": bars.ListBars(ListBarsRequest(symbol="AAPL", timeframe=DAY)),
        "CreateBars": bars.CreateBars(create()),
        "GetSymbol": symbols.GetSymbol(GetSymbolRequest(symbol="AAPL")),
        "ListSymbols": symbols.ListSymbols(ListSymbolsRequest()),
        "CreateSymbol": symbols.CreateSymbol(CreateSymbolRequest(symbol={"symbol": "NEW"})),  # type: ignore[arg-type]
    }
    found = dict(zip(calls, await asyncio.gather(*map(refusal_of, calls.values())), strict=True))
    found["StreamBars"] = await stream_refusal_of(bars.StreamBars(daily("AAPL"), timeout=CALL_SECONDS))
    return found


@pytest.mark.modes("plain", "apache", reason="sessions can be ended")
async def test_calls_given_database_that_is_down_say_so_and_recover(switch: Switch) -> None:
    """Every call is UNAVAILABLE with a retry and health says it; with the database all is as before."""
    async with serving(switch.address, DB_POOL_TIMEOUT=2) as service:
        await add_symbols(service, "AAPL")
        await add_bars(service)
        before = state(switch.there)
        switch.take_away()
        for name in HEALTH_NAMES:
            await service.until_status("NOT_SERVING", name)
        for method, refusal in (await every_refusal(service)).items():
            assert (method, refusal.code) == (method, grpc.StatusCode.UNAVAILABLE)
            assert (method, refusal.reason) == (method, "DATABASE_UNAVAILABLE")
            assert refusal.retry_seconds == 1.0
            assert not refusal.violations
        assert state(switch.there) == before
        switch.give_back()
        for name in HEALTH_NAMES:
            await service.until_status("SERVING", name)
        found = await stream(service, daily("AAPL"))
        assert len(found.rows()) == 1
        assert await add_bars(service, close=[11.5]) == found.header.snapshot_seq + 1


async def test_calls_given_sessions_that_ended_work_at_once(switch: Switch) -> None:
    """Connections that died while nobody used them are replaced before a call gets one."""
    async with serving(switch.address, DB_POOL_SIZE=3) as service:
        await add_symbols(service, "AAPL")
        await add_bars(service)
        assert len((await stream(service, daily("AAPL"))).rows()) == 1
        for _ in range(3):
            switch.end_sessions()
            assert len((await service.symbols.ListSymbols(ListSymbolsRequest())).symbols) == 1
            assert len((await stream(service, daily("AAPL"))).rows()) == 1


@pytest.mark.modes("plain", "apache", reason="sessions can be ended")
async def test_stream_given_session_that_ends_under_it_is_unavailable(
    service: Service, database: ServerAddress
) -> None:
    """A stream whose backend dies ends with a typed status, without a trailer."""
    await add_symbols(service, "AAPL")
    await add_bars(service)
    with held(database), connected(database) as connection:
        call = await held_up(service, daily("AAPL"))
        await end_waiting(connection, "pg_terminate_backend")
        refusal = await stream_refusal_of(call)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
    await service.until_busy("streams", 0)
    assert len((await stream(service, daily("AAPL"))).rows()) == 1


@pytest.mark.modes("plain", "apache", reason="statement_timeout has an effect")
@pytest.mark.parametrize("kind", ["page", "stream"])
async def test_read_given_statement_that_the_database_cancels_is_a_timeout(
    service: Service, database: ServerAddress, kind: str
) -> None:
    """What the database cuts off because it took too long is DEADLINE_EXCEEDED, with the remedy."""
    await add_symbols(service, "AAPL")
    await add_bars(service)
    with held(database), connected(database) as connection:
        if kind == "stream":
            call = await held_up(service, daily("AAPL"))
            await end_waiting(connection, "pg_cancel_backend")
            refusal = await stream_refusal_of(call)
        else:
            request = ListBarsRequest(symbol="AAPL", timeframe=DAY)
            page = asyncio.ensure_future(service.bars.ListBars(request))
            await end_waiting(connection, "pg_cancel_backend")
            refusal = await refusal_of(page)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "QUERY_TIMEOUT")
    assert "shorter range" in refusal.message


async def test_calls_given_defect_say_an_id_and_keep_the_details_to_the_log(
    database: ServerAddress, caplog: pytest.LogCaptureFixture
) -> None:
    """What nobody foresaw is INTERNAL with an id; the log has the details, and neither a secret."""
    async with serving(lambda: database) as service:
        await add_symbols(service, "AAPL")
        await add_bars(service)
        with connected(database) as connection:
            connection.execute("ALTER TABLE symbol_validity RENAME TO canary_validity")
            connection.execute("ALTER TABLE market_symbol RENAME TO canary_symbol")
            connection.execute("ALTER TABLE bar_latest RENAME TO canary_latest")
        caplog.set_level(logging.DEBUG)
        refusals = await every_refusal(service)
        for method, refusal in refusals.items():
            assert (method, refusal.code) == (method, grpc.StatusCode.INTERNAL)
            assert (method, refusal.reason) == (method, "INTERNAL")
            assert refusal.metadata["error_id"] in refusal.message
            assert refusal.retry_seconds is None
            for secret in (database.password, "canary", "symbol_validity", "SELECT", "psycopg"):
                assert secret.encode() not in refusal.everything
        ids = {refusal.metadata["error_id"] for refusal in refusals.values()}
        assert len(ids) == len(refusals)
        assert ids <= {getattr(record, "error_id", None) for record in caplog.records}
        assert "symbol_validity" in caplog.text
        assert database.password not in caplog.text
        # The pool is whole after all of this.
        with connected(database) as connection:
            connection.execute("ALTER TABLE canary_validity RENAME TO symbol_validity")
            connection.execute("ALTER TABLE canary_symbol RENAME TO market_symbol")
            connection.execute("ALTER TABLE canary_latest RENAME TO bar_latest")
        assert len((await stream(service, daily("AAPL"))).rows()) == 1
        assert await service.status() == "SERVING"


@pytest.mark.modes("plain", "apache", reason="passwords are checked")
async def test_calls_given_wrong_password_never_show_it(
    database: ServerAddress, caplog: pytest.LogCaptureFixture
) -> None:
    """A secret that does not even fit is as secret: in no status, and in no line of the log."""
    caplog.set_level(logging.DEBUG)
    wrong = replace(database, password=CANARY, service_password=CANARY)
    async with serving(lambda: wrong, DB_POOL_TIMEOUT=0.5) as service:
        assert await service.status("db") == "NOT_SERVING"
        for refusal in (await every_refusal(service)).values():
            assert (refusal.code, refusal.reason) == (
                grpc.StatusCode.UNAVAILABLE,
                "DATABASE_UNAVAILABLE",
            )
            assert CANARY.encode() not in refusal.everything
            assert database.for_service().user.encode() not in refusal.everything
    assert CANARY not in caplog.text


async def end_waiting(connection: "psycopg.Connection[Any]", function: str) -> None:
    """End what waits for a lock: its statement (pg_cancel_backend) or its session."""

    async def is_waiting() -> bool:
        return bool(waiting_backends(connection))

    await until(is_waiting)
    for pid in waiting_backends(connection):
        connection.execute(sql.SQL("SELECT {}(%s)").format(sql.Identifier(function)), [pid])
