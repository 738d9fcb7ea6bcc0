"""Yahoo Finance, through yfinance: bars, corporate actions and companies, without a key.

Of yfinance this takes what is hard and changes: to be let in (cookie, crumb, consent page, a browser's
TLS). The answers are read here. `Ticker.history` would cost what cannot be had back: it asks once more
for the time zone of each symbol, keeps answers about the past for as long as the process lives, so that
a revised bar is never seen, turns a missing volume into 0, and drops rows.

`transport`, `session` and `client` do IO; the rest is pure. Only `session` imports yfinance. That takes
a second and brings pandas along, so it is done in the thread of the first call.
"""
