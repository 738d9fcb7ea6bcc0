"""Ingestion over a test's storage, with a provider of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from marketdata.clock import ManualClock
from marketdata.domain.bars import BarFrame
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.ingestion_run import IngestionMode, IngestionRun, RunRequest
from marketdata.domain.time_range import session_label_us
from marketdata.domain.timeframe import Timeframe
from marketdata.ingestion.assembly import Ingestion, Providers, build_ingestion
from marketdata.ingestion.waits import ProviderWaits
from marketdata.providers.protocol import Provider
from tests.support.rows import fetch, stored_bars
from tests.support.scripted_provider import OneProvider, ScriptedProvider
from tests.support.sessions import dates_between, local_us, walk
from tests.support.storage import Storage
from tests.support.symbols import create_symbols
from tests.support.waiting import until

#: After the session of 2024-06-28, at night.
NOW_US: Final = local_us("2024-06-29 22:00")
#: Short, so that a test need not wait for another process to take over.
LEASE_SECONDS: Final = 1.0
# Where nobody takes over.
_REAL_LEASE_SECONDS: Final = 5.0
SYMBOLS: Final = ("A", "B", "C")


@dataclass(frozen=True, slots=True)
class Ingesting:
    """Ingestion with its provider.

    Attributes
    ----------
    ingestion : Ingestion
        The real one.
    provider : ScriptedProvider
        Where its bars come from.
    clock : ManualClock
        What is now for planning and quality; leases go by the database's clock.
    """

    ingestion: Ingestion
    provider: ScriptedProvider
    clock: ManualClock

    async def over(self, run: IngestionRun) -> IngestionRun:
        """Wait until a run is over, and return it."""

        async def is_over() -> bool:
            return (await self.ingestion.runs.get(run.run_id)).state.is_over

        await until(is_over, seconds=60)
        return await self.ingestion.runs.get(run.run_id)

    async def run(self, request: RunRequest) -> IngestionRun:
        """Start a run, execute it, and wait until it is over."""
        async with self.ingestion.executor.running():
            return await self.over(await self.ingestion.starter.start(request))


def ingesting(
    storage: Storage,
    provider: ScriptedProvider,
    now_us: int = NOW_US,
    providers: Providers | None = None,
) -> Ingesting:
    """Put ingestion together over a storage; with a catalog, where there are more providers."""
    clock = ManualClock(now_us)
    ingestion = build_ingestion(
        storage.pools,
        storage.intake,
        storage.actions,
        providers or OneProvider(provider),
        ProviderWaits().of,
        clock,
        LEASE_SECONDS,
    )
    return Ingesting(ingestion, provider, clock)


async def ingesting_days(storage: Storage) -> Ingesting:
    """Put ingestion together over a provider that has a year and a half of days of three symbols."""
    await create_symbols(storage, *SYMBOLS)
    bars = {
        (symbol, Timeframe.DAY_1): days(symbol, "2023-01-01", "2024-06-29", seed)
        for seed, symbol in enumerate(SYMBOLS, start=1)
    }
    return ingesting(storage, ScriptedProvider(bars))


async def stored(storage: Storage, symbol: str, timeframe: Timeframe = Timeframe.DAY_1) -> BarFrame:
    """Read what stands under a ticker."""
    rows = [bar for bar in await stored_bars(storage, timeframe) if bar.symbol == symbol]
    columns = {
        name: np.array([getattr(bar, name) for bar in rows], np.float64)
        for name in ("open", "high", "low", "close", "volume")
    }
    times = np.array([bar.time_us for bar in rows], np.int64)
    return BarFrame((symbol,), times, **columns)


async def holds_the_truth(storage: Storage, one: Ingesting, *symbols: str) -> bool:
    """Compare what is stored with what the provider has."""
    return all(
        [
            same_bars(await stored(storage, s), one.provider.bars[s, Timeframe.DAY_1])
            for s in symbols or SYMBOLS
        ]
    )


async def head(storage: Storage) -> int:
    """Tell the seq of the last write."""
    (row,) = await fetch(storage, "SELECT seq FROM bar_log_head")
    return int(row[0])


def days(symbol: str, start: str, end: str, seed: int = 7) -> BarFrame:
    """Make a daily bar of each session of New York in a range."""
    label_us = get_calendar("XNYS").label_us
    wanted = dates_between(start, end)
    return walk(label_us[(label_us >= wanted.start_us) & (label_us < wanted.end_us)], seed, symbol)


def backfill(
    *symbols: str,
    start: str = "2023-01-01",
    end: str | None = None,
    timeframes: tuple[Timeframe, ...] = (Timeframe.DAY_1,),
    request_id: str = "backfill",
    refetches: bool = False,
    provider: str = "alpaca",
) -> RunRequest:
    """Ask for a range."""
    return RunRequest(
        request_id,
        IngestionMode.BACKFILL,
        provider,
        symbols,
        timeframes,
        session_label_us(date.fromisoformat(start)),
        session_label_us(date.fromisoformat(end)) if end else None,
        refetches=refetches,
    )


def batch(
    *symbols: str,
    timeframes: tuple[Timeframe, ...] = (Timeframe.DAY_1,),
    request_id: str = "batch",
) -> RunRequest:
    """Ask to bring up to now."""
    return RunRequest(request_id, IngestionMode.BATCH, "alpaca", symbols, timeframes)


class Gate:
    """Holds a provider up until a test lets it go on."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, *_: object) -> None:
        """Wait until it is open."""
        self.reached.set()
        await self.open.wait()

    @staticmethod
    async def passed() -> None:
        """Hold nothing up."""


@asynccontextmanager
async def executing(one: Ingesting) -> AsyncIterator[None]:
    """Execute runs."""
    async with one.ingestion.executor.running():
        yield


def same_bars(one: BarFrame, other: BarFrame) -> bool:
    """Tell whether two frames have the same times, prices and volumes."""
    columns = ("time_us", "open", "high", "low", "close", "volume")
    return all(np.array_equal(getattr(one, c), getattr(other, c), equal_nan=True) for c in columns)


@asynccontextmanager
async def ingesting_from(provider: Provider, storage: Storage, now_us: int) -> AsyncIterator[Ingestion]:
    """Execute runs from any provider at a moment."""
    ingestion = build_ingestion(
        storage.pools,
        storage.intake,
        storage.actions,
        OneProvider(provider),
        ProviderWaits().of,
        ManualClock(now_us),
        _REAL_LEASE_SECONDS,
    )
    async with ingestion.executor.running():
        yield ingestion
