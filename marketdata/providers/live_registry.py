"""All live feeds by name."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from marketdata.clock import Clock
from marketdata.errors import ConfigurationError
from marketdata.providers.iex import alpaca
from marketdata.providers.iex.alpaca_stream import AlpacaStream, StreamAccount
from marketdata.providers.live import LiveFeed
from marketdata.providers.options import ProviderOptions
from marketdata.providers.yahoo import spelling as yahoo
from marketdata.providers.yahoo.stream import YahooStream


def make_live_feed(name: str, options: ProviderOptions, clock: Clock) -> LiveFeed:
    """Make a live feed.

    Parameters
    ----------
    name : str
        As the setting MARKETDATA_LIVE_FEED has it.
    clock : Clock
        What is now, for feeds whose minutes are made here.

    Raises
    ------
    ConfigurationError
        It lacks a setting.
    """
    return _MAKERS[name](options, clock)


def _alpaca(options: ProviderOptions, _: Clock) -> LiveFeed:
    given = {
        alpaca.KEY_SETTING: options.alpaca_key_id,
        alpaca.SECRET_SETTING: options.alpaca_secret_key,
    }
    missing = [setting for setting, value in given.items() if not value]
    if missing:
        raise ConfigurationError(f"the live feed alpaca needs {' and '.join(missing)}; set them")
    account = StreamAccount(options.alpaca_key_id, options.alpaca_secret_key, options.alpaca_stream_url)
    return AlpacaStream(account)


def _yahoo(options: ProviderOptions, clock: Clock) -> LiveFeed:
    return YahooStream(options.yahoo_stream_url, clock)


_MAKERS: Final[Mapping[str, Callable[[ProviderOptions, Clock], LiveFeed]]] = MappingProxyType(
    {alpaca.NAME: _alpaca, yahoo.PROVIDER: _yahoo}
)
