"""Bounded waiting that another thread can cut short."""

import threading
import time


class AbandonedError(Exception):
    """The wait was cut short because the server is being stopped."""


class Deadline:
    """A point in monotonic time, and the only way in which this package waits.

    Parameters
    ----------
    seconds : float
        From now on.
    closing : threading.Event, optional
        Once set, `pause` raises AbandonedError: stopping must not wait for a slow start.
    """

    def __init__(self, seconds: float, closing: threading.Event | None = None) -> None:
        self._at = time.monotonic() + seconds
        self._closing = closing or threading.Event()

    @property
    def expired(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._at

    def pause(self, seconds: float) -> None:
        """Wait for `seconds`, at most until the deadline.

        Raises
        ------
        AbandonedError
            When the closing event is or becomes set.
        """
        remaining = max(0.0, self._at - time.monotonic())
        if self._closing.wait(min(seconds, remaining)):
            raise AbandonedError
