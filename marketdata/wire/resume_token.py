"""Resume tokens: where a subscription goes on, bound to what it is about, and signed.

The signature keeps a client from going on where it never was: a subscription that was resumed in
another place would have a gap that nobody notices. It hides nothing.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from typing import Final

from marketdata.domain.log_position import LOG_ID, LogPosition
from marketdata.domain.subscription import ResumePoint, SubscriptionFilter
from marketdata.wire.violations import Violations

#: Of a key that somebody sets: a shorter one could be tried out.
LEAST_KEY_CHARACTERS: Final = 16

_FIELD: Final = "resume_token"
_VERSION: Final = 1
# Version, generation, fingerprint of the filter, how many logs; then for each its id, the seq, and how
# many entries of the write behind it.
_HEAD: Final = struct.Struct(">B8s16sB")
_LOG: Final = struct.Struct(">HQI")
# 128 bits: nobody finds a forgery by trying.
_SIGNATURE_BYTES: Final = 16
_MOST_TOKEN_CHARACTERS: Final = 1_000


class TokenSigner:
    """Makes tokens, and reads those that it, or another one with the same key, made.

    Parameters
    ----------
    key : bytes
        Shared by all replicas, and kept: with another one every subscription begins anew.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, wanted: SubscriptionFilter, point: ResumePoint) -> str:
        """Make the token of a point of a subscription."""
        position = point.position
        generation = bytes.fromhex(position.generation)
        body = _HEAD.pack(_VERSION, generation, wanted.fingerprint, 1)
        body += _LOG.pack(LOG_ID, position.seq, point.parts)
        return base64.urlsafe_b64encode(body + self._signature(body)).rstrip(b"=").decode()

    def read(
        self, token: str, wanted: SubscriptionFilter, violations: Violations
    ) -> ResumePoint | None:
        """Read a token of the subscription; None where it is none, which is noted."""
        body = self._body(token)
        if body is None:
            _refuse(
                violations,
                "INVALID_RESUME_TOKEN",
                "is no token of this service, or was changed or cut; send one as it was received, or "
                "start_time to begin anew",
            )
            return None
        version, generation, fingerprint, count = _HEAD.unpack_from(body)
        if version != _VERSION or count != 1 or len(body) != _HEAD.size + _LOG.size:
            problem = "is of a later release; ask a service of that release, or begin with start_time"
            _refuse(violations, "INVALID_RESUME_TOKEN", problem)
            return None
        if fingerprint != wanted.fingerprint:
            _refuse(
                violations,
                "OTHER_SUBSCRIPTION",
                "belongs to a subscription to other symbols or timeframes; send those again, or "
                "start_time to begin anew",
            )
            return None
        _, seq, parts = _LOG.unpack_from(body, _HEAD.size)
        return ResumePoint(LogPosition(generation.hex(), seq), parts)

    def _body(self, token: str) -> bytes | None:
        try:
            if len(token) > _MOST_TOKEN_CHARACTERS:
                return None
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        body, signature = raw[:-_SIGNATURE_BYTES], raw[-_SIGNATURE_BYTES:]
        if len(body) < _HEAD.size or not hmac.compare_digest(signature, self._signature(body)):
            return None
        return body

    def _signature(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, hashlib.sha256)[:_SIGNATURE_BYTES]


def _refuse(violations: Violations, reason: str, description: str) -> None:
    violations.add(_FIELD, reason, description)
