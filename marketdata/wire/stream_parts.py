"""The messages of StreamBars as a client reads them."""

from typing import Final

from bifrost.marketdata.v1.bars_service_pb2 import (
    StreamBarsHeader,
    StreamBarsResponse,
    StreamBarsTrailer,
)

from marketdata.domain.bars import BarFrame
from marketdata.errors import NotSupportedError
from marketdata.wire.bar_batch import PLAIN_ENCODING, decode_batch
from marketdata.wire.protobuf_format import LENGTH_DELIMITED, walk_fields

StreamPart = StreamBarsHeader | BarFrame | StreamBarsTrailer

_BATCH: Final = StreamBarsResponse.DESCRIPTOR.fields_by_name["batch"].number


def decode_stream_part(data: bytes, *, copy: bool = True) -> StreamPart | None:
    """Decode one message of a stream.

    Parameters
    ----------
    copy : bool
        Whether columns are copied; see `decode_batch`.

    Returns
    -------
    StreamBarsHeader, BarFrame, StreamBarsTrailer or None
        None for a part that a later release added.

    Raises
    ------
    NotSupportedError
        The batch has an encoding that this release does not know: update the client.
    google.protobuf.message.DecodeError, ValueError
        The bytes are not a message of this stream.
    """
    view = memoryview(data)
    for number, wire_type, _, start, end in walk_fields(view):
        if number == _BATCH and wire_type == LENGTH_DELIMITED:
            frame, small = decode_batch(view[start:end], copy=copy)
            if small.encoding != PLAIN_ENCODING:
                raise NotSupportedError(
                    f"the bars came in encoding {small.encoding}; a later client reads it"
                )
            return frame
    message = StreamBarsResponse.FromString(data)
    part = message.WhichOneof("part")
    if part == "header":
        return message.header
    return message.trailer if part == "trailer" else None
