"""The market-data service of the Bifrost trading platform."""
