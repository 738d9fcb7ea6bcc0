"""Times as callers give and get them."""

from datetime import UTC, date, datetime, time
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from marketdata.domain.time_range import from_unix_us, to_unix_us
from marketdata.wire.times import to_timestamp

Moment = datetime | date
"""An aware datetime, or a date, which stands for its 00:00:00 UTC: how daily bars are labelled."""

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


def decode_moment(timestamp: Timestamp) -> datetime:
    """Make the aware datetime, UTC, of a Timestamp."""
    return from_unix_us(timestamp.ToMicroseconds())
