"""An answer as it came: status, headers, body."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from marketdata.domain.time_range import to_unix_us
from marketdata.domain.timeframe import MICROSECONDS_PER_SECOND
from marketdata.errors import ProviderAnswerError


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a provider answered, whatever the status.

    Attributes
    ----------
    status : int
        HTTP status; never a redirect.
    headers : mapping of str to str
        By lower-case name.
    body : bytes
        Whole, unpacked, within the client's bound.
    asked_us : int
        When it was asked for, Unix microseconds: what had not ended then may be forming in it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    asked_us: int

    def text(self) -> str:
        """Decode the body.

        Raises
        ------
        ProviderAnswerError
            It is not UTF-8.
        """
        try:
            return self.body.decode("utf-8-sig")
        except UnicodeDecodeError:
            problem = ProviderAnswerError("the answer is not text in UTF-8")
        raise problem

    def json(self) -> Any:
        """Decode the body as JSON.

        Raises
        ------
        ProviderAnswerError
            It is not.
        """
        try:
            return json.loads(self.body)
        except ValueError:  # JSONDecodeError and UnicodeDecodeError; their texts quote the body
            problem = ProviderAnswerError(
                "the answer is empty" if not self.body.strip() else "the answer is not JSON"
            )
        raise problem

    def retry_after_seconds(self) -> float | None:
        """Tell when the provider wants to be asked again.

        Retry-After in seconds or as a date; else X-RateLimit-Reset as a Unix time, which Alpaca sends.

        Returns
        -------
        float or None
            Seconds from when it was asked; None where there is no such header that can be read.
        """
        reset = self.headers.get("x-ratelimit-reset", "")
        if "retry-after" not in self.headers and reset.isdecimal():
            return max(0.0, int(reset) - self.asked_us / MICROSECONDS_PER_SECOND)
        text = self.headers.get("retry-after", "").strip()
        try:
            if text.isdecimal():
                return float(text)
            moment_us = to_unix_us(parsedate_to_datetime(text)) if text else None
        except (ValueError, TypeError):
            return None
        if moment_us is None:
            return None
        return max(0.0, (moment_us - self.asked_us) / MICROSECONDS_PER_SECOND)
