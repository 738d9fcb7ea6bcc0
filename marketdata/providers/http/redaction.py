"""Keys taken out of texts, and hashes that stand for them."""

import hashlib
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

_MARK: Final = "***"
# 64 bits: two keys of one operator never meet, and nobody finds a key from them.
_ID_LENGTH: Final = 16
# Shorter "secrets" (a test's, the key "demo") would tear ordinary words apart.
_LEAST_LENGTH: Final = 5


class Redactor:
    """Takes secrets out of texts, also as they are spelled in an address.

    Parameters
    ----------
    secrets : iterable of str
        Keys and tokens; empty ones are left out.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings = {
            spelling
            for secret in secrets
            if len(secret) >= _LEAST_LENGTH
            for spelling in (secret, quote(secret, safe=""), quote_plus(secret))
        }
        # The longest first: a secret may hold another one.
        self._spellings = sorted(spellings, key=len, reverse=True)

    def redact(self, text: str) -> str:
        """Return `text` with each secret replaced."""
        for spelling in self._spellings:
            text = text.replace(spelling, _MARK)
        return text


def key_id(secret: str) -> str:
    """Make what stands for a key where its calls are counted: the start of its SHA-256."""
    return hashlib.sha256(secret.encode("utf-8")).hexdigest()[:_ID_LENGTH]
