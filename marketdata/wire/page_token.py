"""Page tokens: where the next page begins, bound to the request that it continues."""

import base64
import binascii
import hashlib
from typing import Final

from google.protobuf.message import Message

from marketdata.wire.violations import Violations

DEFAULT_PAGE_SIZE: Final = 100
MOST_PAGE_SIZE: Final = 1_000

_VERSION: Final = b"\x01"
_FINGERPRINT_BYTES: Final = 8
# A token that lost its last characters on the way would otherwise name another position.
_CHECKSUM_BYTES: Final = 4
# What may differ between the pages of one list.
_PAGING_FIELDS: Final = ("page_size", "page_token")


def encode_page_token(request: Message, position: bytes) -> str:
    """Make the token of the page behind `position` of the list that `request` asks for."""
    body = _VERSION + _fingerprint(request) + position
    return base64.urlsafe_b64encode(body + _checksum(body)).rstrip(b"=").decode()


def parse_page_token(request: Message, violations: Violations) -> bytes | None:
    """Read the position out of a request's token; None for the first page.

    A token that is not one of ours, or that belongs to another request, is noted as a violation.
    """
    token: str = getattr(request, "page_token")  # noqa: B009 -- Message does not declare it
    if not token:
        return None
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    body, checksum = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
    head = _VERSION + _fingerprint(request)
    is_own = body.startswith(_VERSION) and checksum == _checksum(body)
    if is_own and body.startswith(head):
        return body[len(head) :]
    if is_own:
        problem = "belongs to a list with other parameters; repeat those of the page before"
    else:
        problem = "is not a token of this service; leave it empty for the first page"
    violations.add("page_token", "INVALID_PAGE_TOKEN", problem)
    return None


def parse_page_size(page_size: int, violations: Violations) -> int:
    """Turn a request's page size into the one that is used: 100 for 0, at most 1,000."""
    if page_size < 0:
        violations.add("page_size", "NEGATIVE", "is negative; leave it out for 100")
    return min(page_size or DEFAULT_PAGE_SIZE, MOST_PAGE_SIZE)


def _fingerprint(request: Message) -> bytes:
    bare = type(request)()
    bare.CopyFrom(request)
    for field in _PAGING_FIELDS:
        bare.ClearField(field)
    text = bare.DESCRIPTOR.full_name.encode() + bare.SerializeToString(deterministic=True)
    return hashlib.blake2b(text, digest_size=_FINGERPRINT_BYTES).digest()


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECKSUM_BYTES).digest()
