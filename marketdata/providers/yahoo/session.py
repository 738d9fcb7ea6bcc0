"""Yahoo's site, entered by yfinance: the only module that imports it."""

import logging
from dataclasses import dataclass
from typing import Any, Final

from curl_cffi import CurlOpt
from curl_cffi.requests import Session
from curl_cffi.requests.exceptions import RequestException
from yfinance.const import _BASE_URL_
from yfinance.data import YfData
from yfinance.exceptions import YFException, YFRateLimitError

from marketdata.errors import ProviderAnswerError, ProviderUnavailableError

# The longest chart, sixty years of days, has 2 MB; a week of minutes 1 MB.
_MOST_BYTES: Final = 32 * 1024 * 1024
_LIMITED: Final = 429


@dataclass(frozen=True, slots=True)
class SiteAnswer:
    """What the site answered.

    Attributes
    ----------
    status : int
        HTTP status. 429 also where yfinance raised instead of answering.
    body : bytes
        Whole.
    """

    status: int
    body: bytes


class _Access(YfData):  # type: ignore[misc]  # it has no types
    """yfinance's way in, with its cookie in memory only.

    It would keep the cookie pickled in an SQLite file of the user's cache folder: a folder that a
    service may not have, a pickle that somebody else could write, to save one call a process.
    """

    def _save_cookie_curlCffi(self) -> bool:  # noqa: N802 -- its name
        return False

    def _load_cookie_curlCffi(self) -> bool:  # noqa: N802 -- its name
        return False


class YahooSite:
    """Asks Yahoo's site, and blocks: for threads, any number at once.

    A failure is asked for again by yfinance at once, with another cookie; so it counts twice.

    Parameters
    ----------
    session : curl_cffi Session, optional
        What makes the requests; None: one that shows itself as a browser, as Yahoo wants.
    timeout_seconds : float
        For each request.
    """

    def __init__(self, session: Any = None, *, timeout_seconds: float) -> None:
        _quieten()
        self._timeout_seconds = timeout_seconds
        self._session = session or Session(
            impersonate="chrome", curl_options={CurlOpt.MAXFILESIZE_LARGE: _MOST_BYTES}
        )
        # Its metaclass keeps one instance a process, whose session each new caller would replace.
        self._access = type.__call__(_Access, self._session)

    def get(self, path: str, parameters: dict[str, str]) -> SiteAnswer:
        """Ask once.

        Raises
        ------
        ProviderUnavailableError
            There is no answer.
        ProviderAnswerError
            yfinance does not understand what it is shown on the way.
        """
        try:
            response = self._access.get(
                f"{_BASE_URL_}{path}", params=parameters, timeout=self._timeout_seconds
            )
        except YFRateLimitError:
            return SiteAnswer(_LIMITED, b"")
        except RequestException as error:
            # Its text holds the address, and with it the crumb.
            raise ProviderUnavailableError(f"Yahoo does not answer ({type(error).__name__})") from None
        except YFException as error:
            raise ProviderUnavailableError(f"Yahoo cannot be asked ({type(error).__name__})") from None
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            # What yfinance reads out of consent pages is not checked by it.
            raise ProviderAnswerError(
                f"yfinance does not understand what Yahoo shows it ({type(error).__name__}); a newer"
                " yfinance may"
            ) from error
        return SiteAnswer(int(response.status_code), bytes(response.content))

    def close(self) -> None:
        """Close connections; no call may be under way."""
        self._session.close()


def _quieten() -> None:
    """Let yfinance speak through the service's own logging, and only of what went wrong.

    Its debug lines hold crumbs, and without any logging set up Python would print the others to stderr.
    """
    logger = logging.getLogger("yfinance")
    logger.setLevel(logging.WARNING)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
