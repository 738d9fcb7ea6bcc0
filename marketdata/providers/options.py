"""What an operator sets of providers, as plain values."""

from dataclasses import dataclass, field
from typing import Final

ALPHA_VANTAGE_ADDRESS: Final = "https://www.alphavantage.co"
ALPACA_ADDRESS: Final = "https://data.alpaca.markets"
ALPACA_STREAM_ADDRESS: Final = "https://stream.data.alpaca.markets"
YAHOO_STREAM_ADDRESS: Final = "https://streamer.finance.yahoo.com"
TIINGO_ADDRESS: Final = "https://api.tiingo.com"


@dataclass(frozen=True, slots=True)
class ProviderOptions:
    """Keys, plans, addresses and folders; an empty one is missing.

    Attributes
    ----------
    alpha_vantage_calls_a_day : int
        0: as many as one likes, as the premium plans have it.
    """

    alpha_vantage_api_key: str = field(default="", repr=False)
    alpha_vantage_calls_a_day: int = 25
    alpha_vantage_calls_a_minute: int = 5
    alpha_vantage_url: str = ALPHA_VANTAGE_ADDRESS
    alpaca_key_id: str = field(default="", repr=False)
    alpaca_secret_key: str = field(default="", repr=False)
    alpaca_calls_a_minute: int = 200
    alpaca_url: str = ALPACA_ADDRESS
    alpaca_stream_url: str = ALPACA_STREAM_ADDRESS
    yahoo_stream_url: str = YAHOO_STREAM_ADDRESS
    tiingo_token: str = field(default="", repr=False)
    tiingo_url: str = TIINGO_ADDRESS
    files_dir: str = ""
