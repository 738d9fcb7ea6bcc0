"""What entries of the change log do not say, found out once for all subscribers of a process."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.subscription import SubscriptionFilter
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.log_actions import read_actions_of_entry
from marketdata.storage.log_entries import LogEntry
from marketdata.storage.pools import Pools
from marketdata.storage.symbols import SymbolStore
from marketdata.streaming.routes import Resolved, Routes

T = TypeVar("T")

# Answers that are kept: those of a page of the log, for subscribers who read it at about the same time.
_MOST_KEPT: Final = 1_000


class Lookups:
    """Asks the database about symbols and corporate actions.

    Parameters
    ----------
    pools : Pools
        Where queries run.
    symbols : SymbolStore
        Resolves tickers.
    """

    def __init__(self, pools: Pools, symbols: SymbolStore) -> None:
        self._pools = pools
        self._symbols = symbols
        self._kept: OrderedDict[tuple[Any, ...], asyncio.Task[Any]] = OrderedDict()

    async def routes(self, wanted: SubscriptionFilter) -> Routes:
        """Find out which tickers a subscription is about, as is known now."""
        resolved: dict[Timeframe, Resolved] = {}
        for timeframe in wanted.timeframes if wanted.symbols else ():
            resolved[timeframe] = await self._symbols.resolve(wanted.symbols, timeframe)
        return Routes(wanted, resolved)

    async def renewed(
        self, wanted: SubscriptionFilter, routes: Routes, symbols: Sequence[str]
    ) -> Routes:
        """Find out anew about some symbols of a subscription; the same routes where nothing changed."""
        renewed: dict[Timeframe, Resolved] = {}
        for timeframe, resolved in routes.resolved.items():
            found = await self._symbols.resolve(symbols, timeframe)
            others = {symbol: own for symbol, own in resolved.items() if symbol not in symbols}
            renewed[timeframe] = {**others, **found}
        return routes if renewed == routes.resolved else Routes(wanted, renewed)

    async def known(self, entry: LogEntry) -> Sequence[tuple[str, bool]]:
        """Tell of each ticker that an entry is about whether it names something now."""

        async def ask() -> Sequence[tuple[str, bool]]:
            found = await self._symbols.resolve(entry.symbols, Timeframe.DAY_1)
            return [(symbol, symbol in found) for symbol in entry.symbols]

        return await self._once(("known", entry.seq, entry.part, entry.committed_us), ask)

    async def actions(self, entry: LogEntry, symbol: str) -> Sequence[CorporateAction]:
        """Read the corporate actions that an entry is about."""

        async def ask() -> Sequence[CorporateAction]:
            return await read_actions_of_entry(self._pools, symbol, entry.seq)

        return await self._once(("actions", entry.seq, symbol, entry.committed_us), ask)

    async def _once(self, key: tuple[Any, ...], ask: Callable[[], Awaitable[T]]) -> T:
        """Ask, or wait for whoever asks the same already; a failure is nobody's answer but theirs."""
        task = self._kept.get(key)
        if task is None:
            task = self._kept[key] = asyncio.ensure_future(ask())
            task.add_done_callback(lambda done: self._forget_failed(key, done))
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        # One subscriber's end must not cancel what others wait for.
        answer: T = await asyncio.shield(task)
        return answer

    def _forget_failed(self, key: tuple[Any, ...], done: "asyncio.Task[Any]") -> None:
        if done.cancelled() or done.exception() is not None:
            self._kept.pop(key, None)
