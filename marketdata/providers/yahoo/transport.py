"""Requests that yfinance makes, bounded and stoppable."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from curl_cffi.curl import CURL_WRITEFUNC_ERROR, Curl
from curl_cffi.requests import Response, Session
from curl_cffi.requests.exceptions import RequestException

# The longest chart, sixty years of days, has 2 MB; a week of minutes 1 MB.
_MOST_BYTES: Final = 32 * 1024 * 1024
_FAILED: Final = 400
# What another cookie may help with.
_NOT_LET_IN: Final = frozenset({401, 403})
_ASKED: Final = ("/v8/", "/v10/")


class RefusedError(RequestException):
    """The site answers what was asked with a failure.

    Raised instead of handed to yfinance, which would ask again at once with another cookie, whatever
    the failure, so that each counts twice.
    """

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = headers
        self.body = body


class TooLargeError(RequestException):
    """The answer has more bytes than any true one."""


class StoppedError(RequestException):
    """Nobody waits for the answer any more."""


class YahooTransport(Session[Response]):
    """curl_cffi's session, as a browser or as it is told; for any number of threads.

    Parameters
    ----------
    **options : Any
        As `curl_cffi.requests.Session` takes them.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._here = threading.local()
        self._handles: set[Curl] = set()

    @contextmanager
    def stopped_by(self, stop: threading.Event) -> Iterator[None]:
        """End the requests of this thread once `stop` is set: before one, or with its next bytes."""
        self._here.stop = stop
        try:
            yield
        finally:
            del self._here.stop

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        """Make a request.

        Raises
        ------
        RefusedError, TooLargeError, StoppedError
            As they say.
        """
        stop: threading.Event | None = getattr(self._here, "stop", None)
        body = _Body(stop)
        kwargs["content_callback"] = body.take
        self._handles.add(self.curl)
        try:
            body.check()
            response = super().request(method, url, *args, **kwargs)
        except RequestException:
            body.check()
            raise
        response.content = body.content()
        status = int(response.status_code)
        is_asked = urlsplit(url).path.startswith(_ASKED)
        if is_asked and status >= _FAILED and status not in _NOT_LET_IN:
            headers = {name.lower(): value or "" for name, value in response.headers.items()}
            raise RefusedError(status, headers, response.content)
        return response

    def close(self) -> None:
        """Close the connections of all threads, which have ended; curl_cffi would those of this one."""
        super().close()
        for handle in self._handles:
            handle.close()


class _Body:
    """Takes the bytes of one answer."""

    def __init__(self, stop: threading.Event | None) -> None:
        self._stop = stop
        self._parts: list[bytes] = []
        self._bytes = 0

    def take(self, part: bytes) -> int:
        self._bytes += len(part)
        if self._bytes > _MOST_BYTES or self._is_stopped():
            return CURL_WRITEFUNC_ERROR
        self._parts.append(part)
        return len(part)

    def content(self) -> bytes:
        return b"".join(self._parts)

    def check(self) -> None:
        if self._is_stopped():
            raise StoppedError("nobody waits for it")
        if self._bytes > _MOST_BYTES:
            raise TooLargeError(f"more than {_MOST_BYTES} bytes")

    def _is_stopped(self) -> bool:
        return self._stop is not None and self._stop.is_set()
