"""The sample data set brought into the database: real bars to try the service with."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from marketdata.domain.timeframe import Timeframe
from marketdata.errors import SymbolAlreadyExistsError
from marketdata.providers.sample.parse import SampleStock
from marketdata.storage.actions import ActionStore
from marketdata.storage.intake import BarIntake
from marketdata.storage.symbols import SymbolStore

# As `market_feed` names who its bars are from.
SAMPLE: Final = "sample"


@dataclass(frozen=True, slots=True)
class SampleImport:
    """What became of one stock of the sample.

    Attributes
    ----------
    symbol : str
        Its ticker.
    accepted, unchanged, revised, outranked : int
        Its bars, as `CommitResult` counts them.
    actions : int
        Corporate actions that were new.
    """

    symbol: str
    accepted: int
    unchanged: int
    revised: int
    outranked: int
    actions: int


class SampleImporter:
    """Imports sample stocks.

    Parameters
    ----------
    symbols, actions : SymbolStore, ActionStore
        Where symbols and corporate actions go.
    intake : BarIntake
        Where bars go.
    """

    def __init__(self, symbols: SymbolStore, actions: ActionStore, intake: BarIntake) -> None:
        self._symbols = symbols
        self._actions = actions
        self._intake = intake

    async def is_empty(self) -> bool:
        """Tell whether the database has no symbols at all."""
        return not await self._symbols.list_page(None, 1)

    async def run(self, stocks: Sequence[SampleStock], report: Callable[[SampleImport], None]) -> None:
        """Import the stocks one after the other; what is there already changes nothing.

        Parameters
        ----------
        stocks : sequence of SampleStock
            The sample.
        report : callable
            Told after each stock, which is then committed.

        Raises
        ------
        DatabaseUnavailableError, StorageFullError
            Stocks that were reported are stored; run it again for the rest.
        """
        for stock in stocks:
            report(await self._import(stock))

    async def _import(self, stock: SampleStock) -> SampleImport:
        # On a second run, or where the symbol is the operator's own, its row stays as it is.
        with contextlib.suppress(SymbolAlreadyExistsError):
            await self._symbols.create(stock.symbol)
        actions = await self._actions.add(stock.symbol.symbol, stock.actions, SAMPLE)
        result = (await self._intake.store(stock.bars, Timeframe.DAY_1)).committed
        return SampleImport(
            symbol=stock.symbol.symbol,
            accepted=result.accepted,
            unchanged=result.unchanged,
            revised=result.revised,
            outranked=result.outranked,
            actions=actions.accepted,
        )
