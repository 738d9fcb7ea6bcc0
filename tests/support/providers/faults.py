"""How a played provider misbehaves, and when."""

import random
from collections.abc import Callable
from enum import Enum
from typing import Final

from marketdata.errors import (
    ProviderAnswerError,
    ProviderError,
    ProviderKeyError,
    ProviderLimitError,
    ProviderUnavailableError,
)


class Fault(Enum):
    """What goes wrong with one call."""

    TOO_MANY = "429"
    TOO_MANY_FOR_AN_HOUR = "429 with Retry-After: 3600"
    SERVER_ERROR = "500"
    RESET = "connection reset"
    TRUNCATED = "body that breaks off"
    DRIP = "a byte now and then"
    EMPTY_BODY = "200 without a body"
    GARBAGE = "200 with a page for people"
    AWAY = "redirect to another host"
    KEY_REFUSED = "401"
    # What follows only the dialect can say.
    LIMIT_IN_200 = "limit message in a 200"
    REPEATED_PAGE = "the page before once more"
    REORDERED = "rows in another order"
    OTHER_TIME_ZONE = "times in another zone, which the answer names"
    NAN_ROWS = "rows without prices before the open"


#: Those that a server plays without knowing what it serves.
SERVER_FAULTS: Final = frozenset(
    {
        Fault.TOO_MANY,
        Fault.TOO_MANY_FOR_AN_HOUR,
        Fault.SERVER_ERROR,
        Fault.RESET,
        Fault.TRUNCATED,
        Fault.DRIP,
        Fault.EMPTY_BODY,
        Fault.GARBAGE,
        Fault.AWAY,
        Fault.KEY_REFUSED,
    }
)

#: What a fault has to end in that never ends; the truth where it is not here.
FATES: Final[dict[Fault, type[ProviderError]]] = {
    Fault.TOO_MANY: ProviderLimitError,
    Fault.TOO_MANY_FOR_AN_HOUR: ProviderLimitError,
    Fault.LIMIT_IN_200: ProviderLimitError,
    Fault.SERVER_ERROR: ProviderUnavailableError,
    Fault.RESET: ProviderUnavailableError,
    Fault.TRUNCATED: ProviderUnavailableError,
    Fault.DRIP: ProviderUnavailableError,
    Fault.EMPTY_BODY: ProviderAnswerError,
    Fault.GARBAGE: ProviderAnswerError,
    Fault.AWAY: ProviderAnswerError,
    Fault.REPEATED_PAGE: ProviderAnswerError,
    Fault.KEY_REFUSED: ProviderKeyError,
}
#: What is worth asking again for: met once, it has to end in the truth.
PASSING: Final = frozenset(
    {
        Fault.TOO_MANY,
        Fault.SERVER_ERROR,
        Fault.RESET,
        Fault.TRUNCATED,
        Fault.DRIP,
        Fault.EMPTY_BODY,
        Fault.GARBAGE,
        Fault.REPEATED_PAGE,
    }
)

#: Tells the fault of a call by its number, counted from 0.
FaultPlan = Callable[[int], Fault | None]


def never(_: int) -> None:
    """Let every call succeed."""


def always(fault: Fault) -> FaultPlan:
    """Let every call fail in the same way."""
    return lambda _: fault


def at_call(number: int, fault: Fault) -> FaultPlan:
    """Let one call fail."""
    return lambda call: fault if call == number else None


def at_random(seed: int, faults: frozenset[Fault], part: float) -> FaultPlan:
    """Let a part of the calls fail, by a seed, each in a way of its own."""
    chance = random.Random(seed)  # noqa: S311 -- no secret
    choices = sorted(faults, key=lambda fault: fault.name)
    return lambda _: chance.choice(choices) if chance.random() < part else None
