"""What the service of a module knows, and tests of reads ask for."""

from dataclasses import dataclass
from typing import Final

from marketdata.storage.embedded import ServerAddress
from tests.contract.requests import (
    DAY,
    HOUR,
    MINUTE,
    MINUTE_US,
    OPEN_US,
    TUESDAY_US,
    add_bars,
    add_symbols,
)
from tests.contract.service import Service
from tests.support.bars import days

# AAPL and IBM have days, MSFT has bars of every stored timeframe, BRK.B has none.
SYMBOLS: Final = ("AAPL", "BRK.B", "IBM", "MSFT")
AAPL_DAYS_US: Final = tuple(TUESDAY_US + days(n) for n in range(10))
MSFT_HOURS_US: Final = tuple(OPEN_US + n * 60 * MINUTE_US for n in range(7))
MSFT_MINUTES_US: Final = tuple(OPEN_US + n * MINUTE_US for n in range(390))
IBM_DAYS_US: Final = AAPL_DAYS_US[2:5]


@dataclass(frozen=True)
class Known:
    """A filled service, its database, and the seq of its last write."""

    service: Service
    database: ServerAddress
    seq: int


async def fill(service: Service, database: ServerAddress) -> Known:
    """Bring in the symbols and bars."""
    await add_symbols(service, *SYMBOLS)
    await add_bars(service, AAPL_DAYS_US, DAY)
    await add_bars(service, IBM_DAYS_US, DAY, symbols=("IBM",))
    await add_bars(service, AAPL_DAYS_US, DAY, symbols=("MSFT",))
    await add_bars(service, MSFT_HOURS_US, HOUR, symbols=("MSFT",))
    seq = await add_bars(service, MSFT_MINUTES_US, MINUTE, symbols=("MSFT",))
    return Known(service, database, seq)
