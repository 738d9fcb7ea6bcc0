"""Yahoo's site, entered by yfinance: the only module that imports it."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from curl_cffi.requests.exceptions import RequestException
from yfinance.const import _BASE_URL_
from yfinance.data import YfData
from yfinance.exceptions import YFException, YFRateLimitError

from marketdata.errors import ProviderAnswerError, ProviderUnavailableError
from marketdata.providers.yahoo.transport import RefusedError, TooLargeError, YahooTransport

_LIMITED = 429


@dataclass(frozen=True, slots=True)
class SiteAnswer:
    """What the site answered.

    Attributes
    ----------
    status : int
        HTTP status.
    headers : mapping of str to str
        Of a failure, by lower-case name.
    body : bytes
        Whole.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class _Access(YfData):  # type: ignore[misc]  # it has no types
    """yfinance's way in, with its cookie in memory only.

    It would keep the cookie pickled in an SQLite file of the user's cache folder: a folder that a
    service may not have, a pickle that somebody else could write, to save one call a process.
    """

    def _save_cookie_curlCffi(self) -> bool:  # noqa: N802 -- its name
        # What a cookie out of that file would do: without it, each call asks for a cookie first.
        self._cookie = True
        return True

    def _load_cookie_curlCffi(self) -> bool:  # noqa: N802 -- its name
        return False


class YahooSite:
    """Asks Yahoo's site, and blocks: for threads, any number at once.

    Parameters
    ----------
    transport : YahooTransport, optional
        What makes the requests; None: one that shows itself as a browser, as Yahoo wants.
    timeout_seconds : float
        For each request.
    """

    def __init__(self, transport: YahooTransport | None = None, *, timeout_seconds: float) -> None:
        _quieten()
        self._timeout_seconds = timeout_seconds
        self._transport = transport or YahooTransport(impersonate="chrome")
        # Its metaclass keeps one instance a process, whose session each new caller would replace.
        self._access = type.__call__(_Access, self._transport)

    def get(self, path: str, parameters: dict[str, str], stop: threading.Event) -> SiteAnswer:
        """Ask once.

        Parameters
        ----------
        path : str
            Behind the host, with quoted parts.
        parameters : dict of str to str
            Of the query.
        stop : Event
            Set once nobody waits for the answer.

        Raises
        ------
        ProviderUnavailableError
            There is no answer.
        ProviderAnswerError
            It is too large, or yfinance does not understand what it is shown on the way.
        """
        address = f"{_BASE_URL_}{path}"
        try:
            with self._transport.stopped_by(stop):
                response = self._access.get(address, parameters, self._timeout_seconds)
        except RefusedError as refusal:
            return SiteAnswer(refusal.status, refusal.headers, refusal.body)
        except YFRateLimitError:
            return SiteAnswer(_LIMITED)
        except TooLargeError as error:
            raise ProviderAnswerError(f"Yahoo's answer has {error}") from None
        except (RequestException, YFException) as error:
            # Its text holds the address, and with it the crumb.
            raise ProviderUnavailableError(f"Yahoo does not answer ({type(error).__name__})") from None
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            # What yfinance reads out of consent pages is not checked by it.
            raise ProviderAnswerError(
                f"yfinance does not understand what Yahoo shows it ({type(error).__name__}); a newer"
                " yfinance may"
            ) from error
        return SiteAnswer(int(response.status_code), {}, bytes(response.content))

    def close(self) -> None:
        """Close connections; no call may be under way."""
        self._transport.close()


def _quieten() -> None:
    """Let yfinance speak through the service's own logging, and only of what went wrong.

    Its debug lines hold crumbs, and without any logging set up Python would print the others to stderr.
    """
    logger = logging.getLogger("yfinance")
    logger.setLevel(logging.WARNING)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
