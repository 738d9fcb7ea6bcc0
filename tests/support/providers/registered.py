"""The adapters that are held to the conformance suite: one line each."""

from typing import Final

from tests.support.providers.adapters import AdapterUnderTest
from tests.support.providers.alpha_vantage.side import COUNTED, PREMIUM
from tests.support.providers.example.side import EXAMPLE
from tests.support.providers.files.side import FILES
from tests.support.providers.iex.alpaca_side import ALPACA
from tests.support.providers.iex.tiingo_side import TIINGO
from tests.support.providers.yahoo.side import YAHOO

ADAPTERS: Final[tuple[AdapterUnderTest, ...]] = (
    EXAMPLE,
    PREMIUM,
    COUNTED,
    ALPACA,
    TIINGO,
    FILES,
    YAHOO,
)
