"""Which symbols a live feed is asked for: those whose minutes its provider is to keep current."""

from collections.abc import Awaitable, Callable, Sequence

from marketdata.domain.ingestion_target import IngestionTarget
from marketdata.domain.symbol import Symbol
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.ingestion.runs import RunStore
from marketdata.storage.ingestion.slots import SlotReader

ListTargets = Callable[[], Awaitable[Sequence[IngestionTarget]]]


class FollowedSymbols:
    """Finds the symbols of all targets that want minutes and name the feed's provider.

    Parameters
    ----------
    provider : str
        Name of the feed's provider.
    list_targets : callable
        Lists all targets, as they are now.
    slots : SlotReader
        Lists active symbols, for targets of all.
    runs : RunStore
        Where symbols are looked up.
    """

    def __init__(
        self, provider: str, list_targets: ListTargets, slots: SlotReader, runs: RunStore
    ) -> None:
        self._provider = provider
        self._list_targets = list_targets
        self._slots = slots
        self._runs = runs

    async def __call__(self) -> list[Symbol]:
        """List them by ticker; unknown ones are left out."""
        tickers: set[str] = set()
        for target in await self._list_targets():
            wants_minutes = Timeframe.MINUTE_1 in target.timeframes
            if wants_minutes and self._provider in target.providers:
                tickers.update(target.symbols or await self._slots.active_symbols())
        known = await self._runs.identities(sorted(tickers))
        # Two tickers of one identity are one series; the provider knows the newest name.
        distinct = {symbol.symbol_id: symbol for symbol in known.values()}
        return sorted(distinct.values(), key=lambda symbol: symbol.symbol)
