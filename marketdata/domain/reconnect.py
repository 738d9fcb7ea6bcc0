"""How long to wait before a lost connection is tried again."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Waits that grow.

    Attributes
    ----------
    first_seconds, most_seconds : float
        The wait doubles from the first to the most; the most bounds what a long outage costs after
        its end.
    """

    first_seconds: float
    most_seconds: float

    def seconds(self, failures: int) -> float:
        """Tell how long to wait after so many failures in a row; less by chance, so that many part."""
        # The exponent is bounded: a float overflows after a thousand doublings.
        longest = min(self.most_seconds, self.first_seconds * 2.0 ** min(failures - 1, 20))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret
