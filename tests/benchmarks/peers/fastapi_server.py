"""The design that this service replaces, as its users would tune it.

FastAPI on uvicorn with uvloop and httptools, without an access log; SQLAlchemy's asyncio engine with
asyncpg; one Pydantic model a bar, which FastAPI validates and serializes in Rust. ``/orm/…`` reads
mapped entities, as such services are usually written; ``/core/…`` reads plain rows, the first thing
that is done about its speed. The database is found in the service's variables (DB_HOST, …).

    python -m tests.benchmarks.peers.fastapi_server
"""

import os
import socket
from datetime import datetime
from typing import Annotated, Any, Final

import uvicorn
from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import URL, BigInteger, ColumnElement, DateTime, SmallInteger, select
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.benchmarks.processes import LISTENING

Time = Annotated[datetime, Query()]


class BarColumns:
    """Columns of a bar table."""

    symbol: Mapped[str] = mapped_column(primary_key=True)
    time: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    open: Mapped[float]
    high: Mapped[float]
    low: Mapped[float]
    close: Mapped[float]
    volume: Mapped[float]
    vwap: Mapped[float]
    trade_count: Mapped[int] = mapped_column(BigInteger)
    feed: Mapped[int] = mapped_column(SmallInteger)
    flags: Mapped[int] = mapped_column(SmallInteger)
    revision: Mapped[int]


class Entity(DeclarativeBase):
    """Base of the mapped entities."""


class MinuteBar(BarColumns, Entity):
    """A stored minute."""

    __tablename__ = "market_stock_hist_bars_min_ts"


class DailyBar(BarColumns, Entity):
    """A stored day."""

    __tablename__ = "market_stock_hist_bars_day_ts"


class Bar(BaseModel):
    """A bar of the answer."""

    model_config = ConfigDict(from_attributes=True)

    time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float
    trade_count: int
    feed: int
    flags: int
    revision: int


_ENTITIES: Final[dict[str, type[MinuteBar | DailyBar]]] = {"1m": MinuteBar, "1d": DailyBar}


def build(engine: AsyncEngine) -> FastAPI:
    """Make the application."""
    app = FastAPI()
    sessions = async_sessionmaker(engine)

    @app.get("/orm/{symbol}/{timeframe}", response_model=list[Bar])
    async def get_entities(symbol: str, timeframe: str, start: Time, end: Time) -> Any:
        entity = _ENTITIES[timeframe]
        query = select(entity).where(*_within(entity, symbol, start, end)).order_by(entity.time)
        async with sessions() as session:
            return (await session.scalars(query)).all()

    @app.get("/core/{symbol}/{timeframe}", response_model=list[Bar])
    async def get_rows(symbol: str, timeframe: str, start: Time, end: Time) -> Any:
        entity = _ENTITIES[timeframe]
        columns = [getattr(entity, name) for name in Bar.model_fields]
        query = select(*columns).where(*_within(entity, symbol, start, end)).order_by(entity.time)
        async with engine.connect() as connection:
            return (await connection.execute(query)).mappings().all()

    return app


def _within(
    entity: type[MinuteBar | DailyBar], symbol: str, start: datetime, end: datetime
) -> list[ColumnElement[bool]]:
    return [entity.symbol == symbol, entity.time >= start, entity.time < end]


def main() -> None:
    """Serve until SIGTERM."""
    url = URL.create(
        "postgresql+asyncpg",
        username=os.environ["DB_USERNAME"],
        password=os.environ["DB_PASSWORD"],
        host=os.environ["DB_HOST"],
        port=int(os.environ["DB_PORT"]),
        database=os.environ["DB_NAME"],
    )
    options: dict[str, Any] = {"server_settings": {"timezone": "UTC", "jit": "off"}}
    app = build(create_async_engine(url, pool_size=10, connect_args=options))
    bound = socket.create_server(("127.0.0.1", 0))
    print(f"{LISTENING}127.0.0.1:{bound.getsockname()[1]}", flush=True)  # noqa: T201
    config = uvicorn.Config(app, loop="uvloop", http="httptools", access_log=False, log_level="warning")
    uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main()
