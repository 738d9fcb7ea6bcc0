"""Checks what a target names against what there is."""

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
        """Find unknown symbols, unknown providers, and timeframes that none of them has.

        A provider that is not ready is no violation: the target waits for it. Malformed tickers are
        not looked up.
        """
        return [*self.of_providers(target), *await self.of_symbols(target.symbols)]

    def of_providers(self, target: NewIngestionTarget) -> list[FieldViolation]:
        """Find unknown providers, and timeframes that none of the target's has."""
        known = [self._describe(name) for name in target.providers]
        problem = "there is no such provider; ListProviders lists the names"
        unknown = [
            FieldViolation(f"providers[{position}]", "UNKNOWN_PROVIDER", problem)
            for position, provider in enumerate(known)
            if provider is None
        ]
        if unknown or not known:
            # What an unknown one would have had nobody knows.
            return unknown
        return _unserved(target, [provider for provider in known if provider is not None])

    async def of_symbols(self, symbols: Sequence[str]) -> list[FieldViolation]:
        """Find unknown symbols; the first dozens of them."""
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


def _unserved(
    target: NewIngestionTarget, providers: Sequence[ProviderDescription]
) -> list[FieldViolation]:
    has = "; ".join(
        f"{provider.name} has {', '.join(timeframe.value for timeframe in provider.feeds)}"
        for provider in providers
    )
    return [
        FieldViolation(
            f"timeframes[{position}]",
            "NOT_OF_PROVIDER",
            f"no provider of the target has {timeframe.value} bars: {has}",
        )
        for position, timeframe in enumerate(target.timeframes)
        if all(timeframe not in provider.feeds for provider in providers)
    ]
