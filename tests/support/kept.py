"""Bars of many partitions, of which the oldest are older than what is kept."""

import time
from typing import Final

import numpy as np

from marketdata.domain.bars import BarColumn, BarFrame, full_columns
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from tests.support.bars import MANUAL_FEED
from tests.support.storage import Storage
from tests.support.symbols import create_symbols

MINUTE: Final = Timeframe.MINUTE_1
BARS_A_DAY: Final = 5


def midnight_us(days_ago: int) -> int:
    """Tell the midnight UTC that was so many days before the last one, Unix microseconds."""
    return (time.time_ns() // 1_000 // MICROSECONDS_PER_DAY - days_ago) * MICROSECONDS_PER_DAY


async def store_minutes(storage: Storage, symbol: str, *days_ago: int) -> None:
    """Store five minutes of a new symbol on each of these days: a partition a day."""
    await create_symbols(storage, symbol)
    minutes = np.arange(BARS_A_DAY) * MINUTE.duration_us
    time_us = np.concatenate([midnight_us(ago) + minutes for ago in sorted(days_ago, reverse=True)])
    given = {BarColumn.TIME: time_us, BarColumn.FEED: np.full(len(time_us), MANUAL_FEED)}
    await storage.writer.commit_bars(BarFrame((symbol,), **full_columns(len(time_us), given)), MINUTE)
