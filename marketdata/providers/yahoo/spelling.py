"""Symbols and currencies as Yahoo spells them: pure."""

from typing import Final

from marketdata.domain.symbol import Symbol

PROVIDER: Final = "yahoo"
# There a dot parts a class of shares (BRK.B), which Yahoo does with a hyphen. Elsewhere what is behind
# the dot is Yahoo's name of the exchange (VOD.L), and stays.
_CLASS_VENUES: Final = frozenset({"XNYS", "XNAS", "XASE", "ARCX", "BATS", "IEXG"})
# Yahoo's names of a hundredth of a unit, in which London, Johannesburg and Tel Aviv quote. ISO 4217 has
# none; the first is what traders write.
_HUNDREDTHS: Final = {"GBp": "GBX", "ZAc": "ZAC", "ILA": "ILA"}


def yahoo_spelling(symbol: Symbol) -> str:
    """Spell a symbol for Yahoo: as it is said for it, else by the rule of its venue."""
    said = symbol.provider_symbols.get(PROVIDER)
    if said:
        return said
    if symbol.venue in _CLASS_VENUES:
        return symbol.symbol.replace(".", "-")
    return symbol.symbol


def our_currency(currency: str) -> str:
    """Spell a currency of Yahoo's as symbols do: ``GBp`` is pence, a hundredth of ``GBP``."""
    return _HUNDREDTHS.get(currency, currency)
