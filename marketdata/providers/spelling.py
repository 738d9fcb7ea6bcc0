"""Symbols as providers spell them: pure."""

from typing import Final

from marketdata.domain.symbol import Symbol

# There a dot parts a class of shares (BRK.B). Elsewhere what is behind the dot names an exchange
# (VOD.L), and stays.
_CLASS_VENUES: Final = frozenset({"XNYS", "XNAS", "XASE", "ARCX", "BATS", "IEXG"})


def is_american(symbol: Symbol) -> bool:
    """Tell whether a symbol's venue is an American one."""
    return symbol.venue in _CLASS_VENUES


def hyphenated(symbol: Symbol, provider: str) -> str:
    """Spell a symbol for a provider that parts classes of shares by a hyphen: ``BRK-B``.

    An entry for the provider in the symbol's `provider_symbols` wins.
    """
    said = symbol.provider_symbols.get(provider)
    if said:
        return said
    if is_american(symbol):
        return symbol.symbol.replace(".", "-")
    return symbol.symbol
