"""Statuses of symbols, checked once a run against what its provider states of their listings."""

import logging
from collections.abc import Mapping, Sequence

from marketdata.clock import Clock
from marketdata.domain.ingestion_run import OpenReference
from marketdata.domain.listing import Listing
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import session_date
from marketdata.errors import ProviderError, SymbolNotFoundError
from marketdata.ingestion.pipeline import SymbolOf
from marketdata.providers.protocol import Provider, TellsListings
from marketdata.storage.ingestion.claims import Claim
from marketdata.storage.ingestion.reference_notes import check_claim
from marketdata.storage.pools import Connection
from marketdata.storage.symbol_status import StatusKeeper

log = logging.getLogger(__name__)


class ListingCheck:
    """Checks the symbols of one run.

    Parameters
    ----------
    statuses : StatusKeeper
        Changes them, on evidence.
    claim : Claim
        The run: nothing is changed once another process has it.
    clock : Clock
        What is today.
    """

    def __init__(self, statuses: StatusKeeper, claim: Claim, clock: Clock) -> None:
        self._statuses = statuses
        self._claim = claim
        self._clock = clock
        self._asked: Mapping[int, Symbol] = {}
        self._stated: Mapping[int, Sequence[Listing]] = {}
        self._problem = ""

    async def ask(
        self, provider: Provider, tasks: Sequence[OpenReference], symbol_of: SymbolOf
    ) -> None:
        """Ask the provider once about all symbols of the run, where it tells; a failure is remarked."""
        if not tasks or not isinstance(provider, TellsListings):
            return
        if not provider.capabilities.has_listings:
            return
        symbols: list[Symbol] = []
        for task in tasks:
            try:
                symbols.append(await symbol_of(task.symbol_id))
            except SymbolNotFoundError:
                continue  # deleted meanwhile, and its tasks with it
        self._asked = {symbol.symbol_id: symbol for symbol in symbols}
        try:
            self._stated = await provider.fetch_listings(symbols)
        except ProviderError as error:
            facts = {"run": self._claim.run_id, "error": error.message}
            log.warning("ingestion_listings_failed", extra=facts)
            self._problem = f"what is listed could not be asked for: {error.message}"

    async def judge(self, symbol_id: int) -> tuple[str, ...]:
        """Change the status of one symbol where that is stated; return what a person should know.

        Raises
        ------
        LeaseLostError
            Another process has the run.
        """
        # Once a run, with whichever symbol comes first: it is the same for all.
        remarks, self._problem = [self._problem], ""
        if symbol_id in self._stated:
            remarks.append(
                await self._statuses.judge(
                    self._asked[symbol_id],
                    self._stated[symbol_id],
                    self._claim.provider,
                    session_date(self._clock.now_us()),
                    self._fence,
                )
            )
        return tuple(remark for remark in remarks if remark)

    async def _fence(self, connection: Connection) -> None:
        await check_claim(connection, self._claim)
