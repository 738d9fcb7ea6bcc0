"""The way into Yahoo's site, played: cookies, crumbs, and its hosts on the loopback interface."""

from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from marketdata.providers.yahoo.transport import YahooTransport
from tests.support.providers.played import PlayedCall, Reply

CRUMB: Final = "played-crumb"
#: Hosts of the way in; the rest is what is asked for.
_DOOR: Final = frozenset({"fc.yahoo.com", "guce.yahoo.com", "consent.yahoo.com"})


class LoopbackTransport(YahooTransport):
    """The transport of the provider, with every host of Yahoo's on the loopback interface.

    Parameters
    ----------
    site : str
        Address of what plays query1 and query2.
    door : str
        Address of what plays the hosts of cookies, consent and crumbs; its calls are no answers.
    """

    def __init__(self, site: str, door: str) -> None:
        super().__init__(impersonate="chrome")
        self._site = site
        self._door = door

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        """Ask the loopback server instead."""
        parts = urlsplit(url)
        is_door = parts.hostname in _DOOR or parts.path.endswith("/getcrumb")
        base = urlsplit(self._door if is_door else self._site)
        path = f"/{parts.hostname}{parts.path}" if is_door else parts.path
        moved = urlunsplit((base.scheme, base.netloc, path, parts.query, ""))
        return super().request(method, moved, *args, **kwargs)


class DoorDialect:
    """Lets everybody in: a cookie, a crumb, no consent page."""

    def reply(self, call: PlayedCall) -> Reply:
        """Answer a call."""
        if call.path.endswith("/getcrumb"):
            return Reply(CRUMB.encode(), 200, "text/plain", {"Connection": "close"})
        headers = {"Set-Cookie": "A3=played; Path=/", "Connection": "close"}
        return Reply(b"", 404, "text/html", headers)
