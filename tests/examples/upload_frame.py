"""Upload bars that are columns already, and look at what became of them."""

from collections.abc import Sequence

import numpy as np

from marketdata.client import BarFrame, MarketDataClient, UploadResult


async def upload_closes(
    address: str, symbol: str, days: Sequence[str], closes: Sequence[float]
) -> list[str]:
    """Store daily bars of which only closes are known; return a line for each answer.

    What is missing is left out: the service stores NaN for volume and vwap, and -1 trades. Sending the
    same bars again changes nothing.
    """
    close = np.array(closes)
    frame = BarFrame(
        symbols=(symbol,),
        time_us=np.array(days, "datetime64[us]").astype(np.int64),
        open=close,
        high=close,
        low=close,
        close=close,
    )
    lines: list[str] = []

    def report(result: UploadResult) -> None:
        lines.append(f"{result.bars} bars: {result.accepted} new, {result.rejected} rejected")

    async with MarketDataClient(address) as client:
        result = await client.upload_bars(frame, "1d", on_progress=report)
    for reject in result.rejects:
        rows = ", ".join(str(row) for _, row in reject.samples)
        lines.append(f"{reject.bars} x {reject.rule} (rows {rows}): {reject.description}")
    return lines
