"""Frames cut into the batches of an upload."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from bifrost.marketdata.v1.bars_service_pb2 import UploadBarsRequest

from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bars import BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.wire.bar_batch import encode_batch
from marketdata.wire.protobuf_format import embed

Frames = BarFrame | Iterable[BarFrame] | AsyncIterable[BarFrame]
"""What is uploaded: a frame, or some, one after the other."""

# The service's limits of a batch.
MOST_BATCH_BARS: Final = 50_000
_MOST_BATCH_SYMBOLS: Final = 5_000

_BATCH_NUMBER: Final = UploadBarsRequest.DESCRIPTOR.fields_by_name["batch"].number
_DICTIONARIES: Final = frozenset({"symbols", "feeds"})


@dataclass(frozen=True, slots=True)
class Batch:
    """Some bars of a frame, encoded.

    Attributes
    ----------
    frame_number : int
        Of the frame in the upload, from 0.
    rows : sequence of int
        Which of its rows.
    data : bytes
        An UploadBarsRequest.
    """

    frame_number: int
    rows: Sequence[int]
    data: bytes


async def batches_of(frames: Frames, timeframe: Timeframe) -> AsyncGenerator[Batch]:
    """Cut frames into batches that the service takes, each as soon as its frame is there."""
    number = 0
    async for frame in _each(frames):
        for rows, part in _parts(_without_marks(frame)):
            data = embed(_BATCH_NUMBER, encode_batch(part, timeframe, Adjustment.RAW))
            yield Batch(number, rows, data)
        number += 1


async def _each(frames: Frames) -> AsyncIterator[BarFrame]:
    if isinstance(frames, BarFrame):
        yield frames
    elif isinstance(frames, AsyncIterable):
        async for frame in frames:
            yield frame
    else:
        for frame in frames:
            yield frame


def _without_marks(frame: BarFrame) -> BarFrame:
    """Leave out what the service sets itself and ignores in writes."""
    return replace(frame, flags=np.empty(0, np.int16), revision=np.empty(0, np.int32))


def _parts(frame: BarFrame) -> Iterator[tuple[Sequence[int], BarFrame]]:
    for start in range(0, len(frame), MOST_BATCH_BARS):
        stop = min(start + MOST_BATCH_BARS, len(frame))
        part = _slice(frame, start, stop).with_used_symbols()
        if len(part.symbols) <= _MOST_BATCH_SYMBOLS:
            yield range(start, stop), part
            continue
        group = part.symbol_index // _MOST_BATCH_SYMBOLS
        for number in range(int(group.max()) + 1):
            rows = np.flatnonzero(group == number)
            yield (rows + start).tolist(), part.take(rows).with_used_symbols()


def _slice(frame: BarFrame, start: int, stop: int) -> BarFrame:
    """Give consecutive rows as views."""
    columns: dict[str, Any] = {
        f.name: getattr(frame, f.name)[start:stop] for f in fields(frame) if f.name not in _DICTIONARIES
    }
    return replace(frame, **columns)
