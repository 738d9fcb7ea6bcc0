"""Frames as record batches of an exported file: pure."""

from typing import Any

import numpy as np
import pyarrow as pa

from marketdata.domain.bars import MISSING_TRADE_COUNT, BarColumn, BarFrame
from marketdata.domain.timeframe import Timeframe
from marketdata.providers.files.fields import FileField
from marketdata.providers.files.written_times import UTC_NAME

_REVISION = BarColumn.REVISION.value


def file_schema(timeframe: Timeframe) -> pa.Schema:
    """Columns of an exported file; an import recognises them by these names.

    Times are instants in UTC; of daily bars dates at midnight without a zone, since in another zone
    midnight UTC would be the day before.
    """
    time_type = pa.timestamp("us", None if timeframe is Timeframe.DAY_1 else UTC_NAME)
    types: dict[str, Any] = {
        FileField.SYMBOL.value: pa.string(),
        FileField.TIME.value: time_type,
        FileField.OPEN.value: pa.float64(),
        FileField.HIGH.value: pa.float64(),
        FileField.LOW.value: pa.float64(),
        FileField.CLOSE.value: pa.float64(),
        FileField.VOLUME.value: pa.float64(),
        FileField.VWAP.value: pa.float64(),
        FileField.TRADE_COUNT.value: pa.int64(),
        FileField.FEED.value: pa.string(),
        FileField.FLAGS.value: pa.int16(),
        _REVISION: pa.int32(),
    }
    return pa.schema(list(types.items()))


def to_record_batch(frame: BarFrame, timeframe: Timeframe) -> pa.RecordBatch:
    """Make a record batch of `file_schema` of a frame with all columns; what is missing is null."""
    schema = file_schema(timeframe)
    columns = [_column(frame, name).cast(schema.field(name).type) for name in schema.names]
    return pa.record_batch(columns, schema=schema)


def csv_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Give times the shortest form that says all: a date, or ``2024-01-02 14:30:00Z``.

    Bars begin at whole minutes, and pyarrow writes as many digits as the unit has.
    """
    place = batch.schema.get_field_index(FileField.TIME.value)
    times = batch.column(place)
    kind = pa.date32() if times.type.tz is None else pa.timestamp("s", UTC_NAME)
    return batch.set_column(place, FileField.TIME.value, times.cast(kind))


def _column(frame: BarFrame, name: str) -> pa.Array:
    if name == FileField.SYMBOL.value:
        return pa.array(frame.symbols, pa.string()).take(pa.array(frame.row_symbol_index()))
    if name == FileField.TIME.value:
        return pa.array(frame.time_us)
    values = frame.column(BarColumn(name))
    if name == FileField.FEED.value:
        keys = sorted(frame.feeds)
        names = pa.array([frame.feeds[key] for key in keys], pa.string())
        return names.take(pa.array(np.searchsorted(keys, values)))
    if name in (FileField.VOLUME.value, FileField.VWAP.value):
        return pa.array(values, mask=np.isnan(values))
    if name == FileField.TRADE_COUNT.value:
        return pa.array(values, mask=values == MISSING_TRADE_COUNT)
    return pa.array(values)
