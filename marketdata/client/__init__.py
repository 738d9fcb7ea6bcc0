"""Client: what other services install to call this one."""

from marketdata.client.service import DEFAULT_ADDRESS, MarketDataClient

__all__ = ["DEFAULT_ADDRESS", "MarketDataClient"]
