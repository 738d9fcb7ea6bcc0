"""Streams read to their end, and held up on purpose."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import grpc
import psycopg
from bifrost.marketdata.v1.bar_pb2 import BarBatch
from bifrost.marketdata.v1.bars_service_pb2 import (
    StreamBarsHeader,
    StreamBarsRequest,
    StreamBarsResponse,
    StreamBarsTrailer,
)
from psycopg import sql

from marketdata.storage.embedded import ServerAddress
from tests.contract.requests import DAY
from tests.contract.service import CALL_SECONDS, Service
from tests.support.databases import connected

DAYS_TABLE: Final = "market_stock_hist_bars_day_ts"
Call = grpc.aio.UnaryStreamCall[Any, Any]


@dataclass(frozen=True)
class Stream:
    """All of a stream, in the order and with the parts that the contract promises."""

    header: StreamBarsHeader
    batches: list[BarBatch]
    trailer: StreamBarsTrailer

    def rows(self, *columns: str) -> list[tuple[Any, ...]]:
        """List (symbol, time_us, values of `columns`) of every bar, as sent."""
        return [row for batch in self.batches for row in rows_of(batch, *columns)]


def rows_of(batch: BarBatch, *columns: str) -> list[tuple[Any, ...]]:
    """List (symbol, time_us, values of `columns`) of a batch's bars."""
    index = list(batch.symbol_index) or [0] * len(batch.time_us)
    symbols = [batch.symbols[position] for position in index]
    values = [getattr(batch, column) for column in columns]
    return list(zip(symbols, batch.time_us, *values, strict=True))


def daily(*symbols: str, **changes: Any) -> StreamBarsRequest:
    """Make a request for daily bars."""
    return StreamBarsRequest(symbols=symbols, timeframe=DAY, **changes)


def to_stream(parts: list[StreamBarsResponse]) -> Stream:
    """Hold the parts of a stream to their order: one header, batches, one trailer."""
    kinds = [part.WhichOneof("part") for part in parts]
    assert kinds[0] == "header"
    assert kinds[-1] == "trailer"
    assert set(kinds[1:-1]) <= {"batch"}
    return Stream(parts[0].header, [part.batch for part in parts[1:-1]], parts[-1].trailer)


async def stream(service: Service, request: StreamBarsRequest) -> Stream:
    """Read a stream to its end."""
    return await rest_of(service.bars.StreamBars(request, timeout=CALL_SECONDS))


async def held_up(service: Service, request: StreamBarsRequest, streams: int = 1) -> Call:
    """Start a stream that a lock holds up, and wait until so many have their connections."""
    call: Call = service.bars.StreamBars(request, timeout=CALL_SECONDS)
    await service.until_busy("streams", streams)
    return call


async def rest_of(call: Call) -> Stream:
    """Read what is left of a stream, which is all of it."""
    return to_stream([part async for part in call])


@contextmanager
def held(database: ServerAddress, table: str = DAYS_TABLE) -> Iterator[None]:
    """Keep readers of a table, or of a partition, waiting: their calls run until the test ends that."""
    with connected(database) as connection, connection.transaction():
        connection.execute(
            sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(table))
        )
        yield


def partition_of(database: ServerAddress, time_us: int) -> str:
    """Name the partition of the daily table that a stored bar of this time stands in."""
    with connected(database) as connection:
        row = connection.execute(
            sql.SQL(
                "SELECT tableoid::regclass::text FROM {} "
                "WHERE time = timestamptz 'epoch' + %s * interval '1 microsecond'"
            ).format(sql.Identifier(DAYS_TABLE)),
            [time_us],
        ).fetchone()
    assert row is not None
    return str(row[0])


def waiting_backends(connection: "psycopg.Connection[tuple[object, ...]]") -> list[int]:
    """List the service's backends that wait for a lock."""
    rows = connection.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'marketdata-%' "
        "AND datname = current_database() AND wait_event_type = 'Lock'"
    ).fetchall()
    return [int(str(pid)) for (pid,) in rows]
