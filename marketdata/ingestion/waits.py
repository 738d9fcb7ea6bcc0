"""What providers wait for at present, for people who ask why nothing moves."""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from marketdata.domain.ingestion_run import ProviderWait

# Rounded away: a wait that is over in a moment.
_LEAST_SECONDS: Final = 0.05


class ProviderWaits:
    """Keeps the longest wait of each provider and reason.

    Parameters
    ----------
    monotonic : callable
        Tells the seconds that have passed since some moment, and never goes back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until: dict[str, dict[str, float]] = defaultdict(dict)

    def add(self, provider: str, reason: str, seconds: float) -> None:
        """Note that a call waits for `seconds` from now; `reason` is a stable word."""
        until = self._monotonic() + seconds
        reasons = self._until[provider]
        reasons[reason] = max(until, reasons.get(reason, 0.0))

    def of(self, provider: str) -> list[ProviderWait]:
        """Tell what a provider waits for, the longest first."""
        now = self._monotonic()
        left = {reason: until - now for reason, until in self._until[provider].items()}
        return [
            ProviderWait(provider, reason, round(seconds, 3))
            for reason, seconds in sorted(left.items(), key=lambda item: -item[1])
            if seconds > _LEAST_SECONDS
        ]
