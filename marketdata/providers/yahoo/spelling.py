"""Symbols and currencies as Yahoo spells them: pure."""

from typing import Final

from marketdata.domain.symbol import Symbol
from marketdata.providers.spelling import hyphenated

PROVIDER: Final = "yahoo"
# Yahoo's names of a hundredth of a unit, in which London, Johannesburg and Tel Aviv quote. ISO 4217 has
# none; the first is what traders write.
_HUNDREDTHS: Final = {"GBp": "GBX", "ZAc": "ZAC", "ILA": "ILA"}


def yahoo_spelling(symbol: Symbol) -> str:
    """Spell a symbol for Yahoo: as it is said for it, else by the rule of its venue."""
    return hyphenated(symbol, PROVIDER)


def our_currency(currency: str) -> str:
    """Spell a currency of Yahoo's as symbols do: ``GBp`` is pence, a hundredth of ``GBP``."""
    return _HUNDREDTHS.get(currency, currency)
