"""Times as callers give and get them."""

from datetime import UTC, date, datetime, time
from typing import Final

from bifrost.marketdata.v1 import as_of_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from marketdata.domain.time_range import from_unix_us, to_unix_us
from marketdata.wire.times import to_timestamp

Moment = datetime | date
"""An aware datetime, or a date, which stands for its 00:00:00 UTC: how daily bars are labelled."""

AsOfPoint = int | Moment
"""A point in time whose knowledge is asked for: a seq, as answers report it, or a moment."""

_MIDNIGHT: Final = time(tzinfo=UTC)


def encode_moment(name: str, moment: Moment | None) -> Timestamp | None:
    """Make the Timestamp of a moment; None for None.

    Raises
    ------
    ValueError
        A datetime without a time zone: which moment it is depends on who reads it.
    """
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, _MIDNIGHT)
    if moment.utcoffset() is None:
        raise ValueError(f"{name} has no time zone; give it one, such as datetime.UTC")
    return to_timestamp(to_unix_us(moment))


def encode_as_of(as_of: AsOfPoint | None) -> as_of_pb2.AsOf | None:
    """Make the AsOf of a point in time; None for None.

    Raises
    ------
    ValueError
        A datetime without a time zone.
    """
    if isinstance(as_of, int):
        return as_of_pb2.AsOf(seq=as_of)
    time = encode_moment("as_of", as_of)
    return None if time is None else as_of_pb2.AsOf(time=time)


def decode_moment(timestamp: Timestamp) -> datetime:
    """Make the aware datetime, UTC, of a Timestamp."""
    return from_unix_us(timestamp.ToMicroseconds())
