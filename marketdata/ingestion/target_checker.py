"""Checks what a new target names against what there is."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from marketdata.domain.ingestion_target import NewIngestionTarget
from marketdata.domain.provider import ProviderDescription
from marketdata.domain.symbol import Symbol, symbol_problem
from marketdata.errors import FieldViolation

# A status has room for some dozens; the rest is counted by its error.
_MOST_UNKNOWN: Final = 50


class TargetChecker:
    """Finds what of a target there is not.

    Parameters
    ----------
    identities : callable
        Finds the identities that tickers name, by the tickers asked; unknown ones are left out.
    describe : callable
        Describes a provider, also one that is not ready; None where there is none of that name.
    """

    def __init__(
        self,
        identities: Callable[[Sequence[str]], Awaitable[Mapping[str, Symbol]]],
        describe: Callable[[str], ProviderDescription | None],
    ) -> None:
        self._identities = identities
        self._describe = describe

    async def find_violations(self, target: NewIngestionTarget) -> list[FieldViolation]:
        """Find unknown symbols, an unknown provider, and timeframes that it does not have.

        A provider that is not ready is no violation: the target waits for it. Malformed tickers are
        not looked up.
        """
        return [*self._of_provider(target), *await self._of_symbols(target.symbols)]

    def _of_provider(self, target: NewIngestionTarget) -> list[FieldViolation]:
        provider = self._describe(target.provider)
        if provider is None:
            problem = "there is no such provider; ListProviders lists the names"
            return [FieldViolation("provider", "UNKNOWN_PROVIDER", problem)]
        labels = ", ".join(timeframe.value for timeframe in provider.feeds)
        return [
            FieldViolation(
                f"timeframes[{position}]",
                "NOT_OF_PROVIDER",
                f"{provider.name} has no {timeframe.value} bars; it has {labels}",
            )
            for position, timeframe in enumerate(target.timeframes)
            if timeframe not in provider.feeds
        ]

    async def _of_symbols(self, symbols: Sequence[str]) -> list[FieldViolation]:
        asked = [symbol for symbol in symbols if symbol_problem(symbol) is None]
        identities = await self._identities(asked) if asked else {}
        unknown = [
            FieldViolation(
                f"symbols[{position}]",
                "SYMBOL_NOT_FOUND",
                f"{symbol} is not known; CreateSymbol adds it, or leave it out",
            )
            for position, symbol in enumerate(symbols)
            if symbol not in identities
        ]
        return unknown[:_MOST_UNKNOWN]
