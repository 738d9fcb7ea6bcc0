"""Arrays as parameters of a statement: numpy's bytes, no loop per element."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from psycopg import postgres
from psycopg.abc import AdaptContext, DumperKey
from psycopg.adapt import Dumper, PyFormat
from psycopg.pq import Format

from marketdata.storage.copy_codec import encode_array, encode_text_array, to_postgres_time

_TYPES: Final = {
    np.dtype(np.float64): "float8",
    np.dtype(np.int64): "int8",
    np.dtype(np.int32): "int4",
    np.dtype(np.int16): "int2",
}


@dataclass(frozen=True, slots=True)
class ArrayParameter:
    """A one-dimensional array in PostgreSQL's binary form.

    Attributes
    ----------
    data : bytes
        Header and elements.
    oid : int
        Type of the array.
    """

    data: bytes
    oid: int


def number_array(values: npt.NDArray[Any]) -> ArrayParameter:
    """Pass float64, int64, int32 or int16 values, shape (n,), as an array of that type."""
    info = postgres.types[_TYPES[values.dtype]]
    return ArrayParameter(encode_array(values, info.oid), info.array_oid)


def time_array(time_us: npt.NDArray[np.int64]) -> ArrayParameter:
    """Pass Unix microseconds, int64[n], as ``timestamptz[]``."""
    info = postgres.types["timestamptz"]
    return ArrayParameter(encode_array(to_postgres_time(time_us), info.oid), info.array_oid)


def text_array(texts: Sequence[str], index: npt.NDArray[Any]) -> ArrayParameter:
    """Pass ``texts[index]`` as ``text[]``, without making a Python string an element."""
    info = postgres.types["text"]
    return ArrayParameter(encode_text_array(texts, index, info.oid), info.array_oid)


class ArrayParameterDumper(Dumper):
    """Teaches psycopg to send an `ArrayParameter` as it is."""

    format = Format.BINARY

    def __init__(self, cls: type, context: AdaptContext | None = None) -> None:
        super().__init__(cls, context)
        self.oid = 0

    def dump(self, obj: ArrayParameter) -> bytes:
        """Return the array's bytes."""
        return obj.data

    def get_key(self, obj: ArrayParameter, format: PyFormat) -> DumperKey:  # noqa: A002, ARG002
        """Tell apart arrays of different types, since a dumper announces one."""
        return (self.cls, obj.oid)  # type: ignore[return-value]

    def upgrade(self, obj: ArrayParameter, format: PyFormat) -> Self:  # noqa: A002, ARG002
        """Make the dumper that announces this array's type."""
        dumper = type(self)(self.cls)
        dumper.oid = obj.oid
        return dumper
