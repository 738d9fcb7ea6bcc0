"""Requests decoded under the error interceptor, and bulk answers passed through as they are.

gRPC decodes before any handler runs and answers a failure with a text of its own. Here decoding is put
off until the call runs, so that what cannot be decoded, or is too large, gets a typed error like
everything else.
"""

from __future__ import annotations  # gRPC's handler class is generic for type checkers only

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from google.protobuf.message import DecodeError

from marketdata.errors import MessageTooLargeError, UndecodableRequestError
from marketdata.rpc.behaviour import Context, Handler, behaviour_of, rebuild

# What the contract's largest request needs twice over: 5,000 bars of all columns are 0.5 MB.
MOST_REQUEST_BYTES: Final = 4 * 1024 * 1024
# One batch of an upload: 50,000 bars of all columns are 4.8 MB.
MOST_BATCH_BYTES: Final = 8 * 1024 * 1024
# Beyond this gRPC itself refuses, with a text of its own, before the bytes are kept.
MOST_RECEIVED_BYTES: Final = 16 * 1024 * 1024

BULK_METHODS: Final = frozenset(
    f"/bifrost.marketdata.v1.BarsService/{name}" for name in ("StreamBars", "SubscribeBars")
)
_OWN_METHODS: Final = "/bifrost."


def decode_in_call(name: str, handler: Handler) -> Handler:
    """Make the handler of one of our methods that decodes requests inside the call.

    Bulk methods also have their encoded answers passed through. The generated registration stays
    untouched; handlers of others' methods stay as they are.
    """
    if not name.startswith(_OWN_METHODS):
        return handler
    inner, decode = behaviour_of(handler), handler.request_deserializer or bytes
    decoder = _decode_stream if handler.request_streaming else _decode
    most_bytes = MOST_BATCH_BYTES if handler.request_streaming else MOST_REQUEST_BYTES

    async def behaviour(data: Any, context: Context) -> Any:
        return await inner(decoder(decode, most_bytes, data), context)

    return rebuild(
        handler,
        behaviour,
        request_deserializer=bytes,
        response_serializer=_pass_bytes if name in BULK_METHODS else None,
    )


async def _decode_stream(
    decode: Callable[[bytes], Any], most_bytes: int, requests: AsyncIterator[bytes]
) -> AsyncIterator[Any]:
    async for data in requests:
        yield _decode(decode, most_bytes, data)


def _decode(decode: Callable[[bytes], Any], most_bytes: int, data: bytes) -> Any:
    if len(data) > most_bytes:
        raise MessageTooLargeError(
            f"the request has {len(data)} bytes and the most is {most_bytes}; send it in parts",
            metadata={"limit_bytes": str(most_bytes)},
        )
    try:
        return decode(data)
    except DecodeError as error:
        raise UndecodableRequestError(
            "the request is not the message of this method; generate your client from its proto"
        ) from error


def _pass_bytes(message: Any) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()
