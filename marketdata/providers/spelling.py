"""Symbols as providers spell them: pure."""

from typing import Final

from marketdata.domain.symbol import Symbol

# There a dot parts a class of shares (BRK.B). Elsewhere what is behind the dot names an exchange
# (VOD.L), and stays.
_CLASS_VENUES: Final = frozenset({"XNYS", "XNAS", "XASE", "ARCX", "BATS", "IEXG"})


def hyphenated(symbol: Symbol, provider: str) -> str:
    """Spell a symbol for a provider that parts classes of shares by a hyphen: ``BRK-B``.

    An entry for the provider in the symbol's `provider_symbols` wins.
    """
    said = symbol.provider_symbols.get(provider)
    if said:
        return said
    if symbol.venue in _CLASS_VENUES:
        return symbol.symbol.replace(".", "-")
    return symbol.symbol
