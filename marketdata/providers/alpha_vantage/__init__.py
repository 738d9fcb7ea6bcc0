"""Alpha Vantage: minutes by the month, days with dividends and splits, facts of companies."""
