"""Read a year of adjusted daily bars of several symbols into pandas.

pip install 'bifrost-marketdata[pandas]'
"""

from datetime import date

import pandas as pd

from marketdata.client import MarketDataClient


async def daily_returns(address: str, symbols: list[str], year: int) -> pd.DataFrame:
    """Compute daily returns, a column a symbol, free of splits and dividends."""
    async with MarketDataClient(address) as client:
        bars = await client.bars(
            symbols,
            "1d",
            date(year, 1, 1),
            date(year + 1, 1, 1),
            adjustment="all",
            columns=["close"],
        )
    # What could have been decided by a default, or has failed for some, is told.
    if bars.applied.unresolved_symbols:
        raise ValueError(f"not known: {', '.join(bars.applied.unresolved_symbols)}")
    if bars.applied.unadjusted_actions:
        raise ValueError(f"not adjusted: {bars.applied.unadjusted_actions}")
    closes = bars.to_pandas().pivot_table("close", index="time", columns="symbol", observed=True)
    return closes.pct_change().dropna()
