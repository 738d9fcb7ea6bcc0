"""Use the service from a script, without asyncio."""

import numpy as np

from marketdata.client import SyncMarketDataClient
from marketdata.errors import SymbolNotFoundError


def highest_close(address: str, symbol: str) -> str:
    """Tell the day of the highest close, in memory that does not grow with the history."""
    best_close, best_day = -np.inf, np.datetime64("NaT")
    with SyncMarketDataClient(address, timeout_seconds=10) as client:
        try:
            name = client.get_symbol(symbol).name or symbol
        except SymbolNotFoundError as error:
            return str(error)
        # An interrupted stream goes on by itself, where it was.
        for frame in client.stream_bars(symbol, "1d", columns=["close"]):
            row = int(np.argmax(frame.close))
            if frame.close[row] > best_close:
                best_close = frame.close[row]
                best_day = frame.time_us.view("datetime64[us]")[row].astype("datetime64[D]")
    return f"{name}: {best_close:.2f} on {best_day}"
