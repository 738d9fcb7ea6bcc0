"""Sample: five real stocks, daily bars and dividends, that an installed package brings along."""
