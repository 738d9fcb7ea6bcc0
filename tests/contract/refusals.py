"""Statuses as their clients see them: code, reason, violations, retry, and every text in it."""

from collections.abc import AsyncIterable, Awaitable
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

_DETAILS: Final = "grpc-status-details-bin"


@dataclass(frozen=True)
class Refusal:
    """How a call failed.

    Attributes
    ----------
    reason : str
        Of the one ErrorInfo; empty where the status is gRPC's own.
    violations : set of (str, str)
        Field and reason of each.
    everything : bytes
        All that came over the wire, to look for what must not.
    """

    code: grpc.StatusCode
    message: str
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    violations: frozenset[tuple[str, str]] = frozenset()
    retry_seconds: float | None = None
    everything: bytes = b""


async def refusal_of(call: Awaitable[Any]) -> Refusal:
    """Await a call that must fail, and say how it did."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return to_refusal(caught.value)


async def stream_refusal_of(call: AsyncIterable[Any]) -> Refusal:
    """Read a stream that must fail to its end, and say how it did."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in call:
            pass
    return to_refusal(caught.value)


def to_refusal(error: grpc.aio.AioRpcError) -> Refusal:
    """Take a status apart, and hold it to its form: details agree with the status, one ErrorInfo."""
    trailers = [(str(key), _bytes(value)) for key, value in error.trailing_metadata() or ()]
    packed = dict(trailers).get(_DETAILS)
    message = error.details() or ""
    if packed is None:
        return Refusal(error.code(), message)
    status = Status.FromString(packed)
    assert (status.code, status.message) == (error.code().value[0], message)
    found: dict[type[Any], list[Any]] = {ErrorInfo: [], BadRequest: [], RetryInfo: []}
    for detail in status.details:
        kind = next(kind for kind in found if detail.Is(kind.DESCRIPTOR))
        found[kind].append(kind.FromString(detail.value))
    (info,) = found[ErrorInfo]
    bad_requests, retries = found[BadRequest], found[RetryInfo]
    assert len(bad_requests) <= 1
    assert len(retries) <= 1
    violations = [v for bad in bad_requests for v in bad.field_violations]
    assert all(v.field and v.reason and v.description for v in violations)
    return Refusal(
        code=error.code(),
        message=message,
        reason=info.reason,
        metadata=dict(info.metadata),
        violations=frozenset((v.field, v.reason) for v in violations),
        retry_seconds=retries[0].retry_delay.ToMicroseconds() / 1e6 if retries else None,
        everything=message.encode() + b"".join(key.encode() + value for key, value in trailers),
    )


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
