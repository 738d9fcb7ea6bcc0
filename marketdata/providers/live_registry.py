"""All live feeds by name."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from marketdata.errors import ConfigurationError
from marketdata.providers.iex import alpaca
from marketdata.providers.iex.alpaca_stream import AlpacaStream, StreamAccount
from marketdata.providers.live import LiveFeed
from marketdata.providers.options import ProviderOptions


def make_live_feed(name: str, options: ProviderOptions) -> LiveFeed:
    """Make a live feed.

    Parameters
    ----------
    name : str
        As the setting MARKETDATA_LIVE_FEED has it.

    Raises
    ------
    ConfigurationError
        It lacks a setting.
    """
    return _MAKERS[name](options)


def _alpaca(options: ProviderOptions) -> LiveFeed:
    given = {
        alpaca.KEY_SETTING: options.alpaca_key_id,
        alpaca.SECRET_SETTING: options.alpaca_secret_key,
    }
    missing = [setting for setting, value in given.items() if not value]
    if missing:
        raise ConfigurationError(f"the live feed alpaca needs {' and '.join(missing)}; set them")
    account = StreamAccount(options.alpaca_key_id, options.alpaca_secret_key, options.alpaca_stream_url)
    return AlpacaStream(account)


_MAKERS: Final[Mapping[str, Callable[[ProviderOptions], LiveFeed]]] = MappingProxyType(
    {alpaca.NAME: _alpaca}
)
