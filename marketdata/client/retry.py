"""How long, and how often, an interrupted stream or upload is taken up again."""

import random
import time
from dataclasses import dataclass
from typing import Final

from marketdata.errors import (
    DeadlineExceededError,
    ResourceExhaustedError,
    ServiceError,
    ServiceUnavailableError,
    StorageFullError,
    WriteConflictError,
)

_FACTOR: Final = 2.0
# Waits are spread over their second half, so that clients that were cut off together do not come back
# together.
_LEAST_PART: Final = 0.5


# What metadata of an error have where the call can go on.
_POSITIONS: Final = frozenset({"resume_symbol", "resume_token"})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When an interrupted stream or upload is given up.

    Attributes
    ----------
    most_attempts : int
        Attempts in a row that brought nothing. One that brought a batch starts the count anew.
    first_wait_seconds, longest_wait_seconds : float
        Wait before the second attempt; doubled for each further one, up to the longest. The defaults
        make 11 seconds in all: a service that is restarted is back by then.
    attempt_seconds : float
        Deadline of one attempt. One that brought something is followed by another at its position, so
        this does not limit the whole.
    """

    most_attempts: int = 8
    first_wait_seconds: float = 0.1
    longest_wait_seconds: float = 5.0
    attempt_seconds: float = 600.0


DEFAULT_RETRIES: Final = RetryPolicy()


class Attempts:
    """The attempts at one stream or upload.

    Parameters
    ----------
    policy : RetryPolicy
        When to give up.
    timeout_seconds : float or None
        Deadline of the whole, from now; None or infinity for none.
    """

    def __init__(self, policy: RetryPolicy, timeout_seconds: float | None) -> None:
        self._policy = policy
        self._ends = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        self._fruitless = 0
        self._brought_something = False

    def seconds_left(self) -> float:
        """Tell the deadline of the next attempt."""
        if self._ends is None:
            return self._policy.attempt_seconds
        return max(0.0, min(self._policy.attempt_seconds, self._ends - time.monotonic()))

    def brought_something(self) -> None:
        """Note that the attempt under way got the whole further."""
        self._fruitless = 0
        self._brought_something = True

    def wait_before_next(self, error: ServiceError) -> float:
        """Tell how many seconds to wait before the next attempt.

        Raises
        ------
        ServiceError
            `error` itself, where no further attempt is made: it is none that passes, the attempts are
            used up, or the deadline is.
        """
        self._fruitless += 1
        is_passing = _may_pass(error) or (
            type(error) is DeadlineExceededError and self._brought_something
        )
        wait = self._wait_seconds(error)
        is_late = self._ends is not None and time.monotonic() + wait >= self._ends
        if not is_passing or is_late or self._fruitless >= self._policy.most_attempts:
            raise error
        self._brought_something = False
        return wait

    def _wait_seconds(self, error: ServiceError) -> float:
        policy = self._policy
        doubled = policy.first_wait_seconds * _FACTOR ** (self._fruitless - 1)
        longest = min(policy.longest_wait_seconds, doubled)
        spread = longest * random.uniform(_LEAST_PART, 1.0)  # noqa: S311 -- no secret
        return max(spread, error.retry_after_seconds or 0.0)


def _may_pass(error: ServiceError) -> bool:
    if isinstance(error, (ServiceUnavailableError, WriteConflictError)):
        return True
    # Without a position or a time it is gRPC's own: a message beyond this client's limit, every time.
    return (
        isinstance(error, ResourceExhaustedError)
        and not isinstance(error, StorageFullError)
        and (error.retry_after_seconds is not None or not _POSITIONS.isdisjoint(error.metadata))
    )
