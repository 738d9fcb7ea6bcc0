"""The few parts of protobuf's binary format that columns are read and written with.

https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator
from typing import Final

from google.protobuf.message import DecodeError

VARINT: Final = 0
LENGTH_DELIMITED: Final = 2
# Wire types of fixed width, and their bytes.
FIXED_WIDTHS: Final = {1: 8, 5: 4}

_PAYLOAD: Final = 0x7F
_CONTINUES: Final = 0x80
_MOST_SHIFT: Final = 63


def field_head(number: int, length: int) -> bytes:
    """Encode what stands before the `length` bytes of a length-delimited field."""
    return encode_varint(number << 3 | LENGTH_DELIMITED) + encode_varint(length)


def embed(number: int, message: bytes) -> bytes:
    """Encode `message` as the embedded message of a field."""
    return b"".join((field_head(number, len(message)), message))


def encode_varint(value: int) -> bytes:
    """Encode a number >= 0, seven bits a byte, the lowest first."""
    out = bytearray()
    while value > _PAYLOAD:
        out.append(value & _PAYLOAD | _CONTINUES)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(view: memoryview, position: int) -> tuple[int, int]:
    """Read a varint at `position`; return it and the position behind it.

    Raises
    ------
    google.protobuf.message.DecodeError
        The bytes end within it, or it has more than 64 bits.
    """
    value = shift = 0
    while position < len(view) and shift <= _MOST_SHIFT:
        byte = view[position]
        position += 1
        value |= (byte & _PAYLOAD) << shift
        if byte < _CONTINUES:
            return value, position
        shift += 7
    raise DecodeError("truncated or overlong varint")


def walk_fields(view: memoryview) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield each field of a message: number, wire type, start, start of its value, end.

    Raises
    ------
    google.protobuf.message.DecodeError
        The bytes are not a protobuf message.
    """
    position = 0
    while position < len(view):
        start = position
        tag, position = read_varint(view, position)
        number, wire_type = tag >> 3, tag & 7
        value_start = position
        if wire_type == LENGTH_DELIMITED:
            length, value_start = read_varint(view, position)
            position = value_start + length
        elif wire_type in FIXED_WIDTHS:
            position += FIXED_WIDTHS[wire_type]
        elif wire_type == VARINT:
            _, position = read_varint(view, position)
        else:
            raise DecodeError(f"wire type {wire_type} is not known")
        if position > len(view):
            raise DecodeError("truncated field")
        yield number, wire_type, start, value_start, position
