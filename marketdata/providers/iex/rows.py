"""Rows of JSON turned into columns: pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import BarColumn, Int64Array
from marketdata.domain.time_range import to_unix_us
from marketdata.errors import ProviderAnswerError
from marketdata.providers.local_times import check_sane

Fields = Mapping[BarColumn, str]


def to_columns(
    rows: Sequence[Mapping[str, Any]], time_field: str, fields: Fields
) -> dict[BarColumn, npt.NDArray[Any]]:
    """Turn rows into columns.

    Parameters
    ----------
    rows : sequence of mapping
        As decoded; null prices become NaN.
    time_field : str
        Where the time stands, in RFC 3339.
    fields : mapping of BarColumn to str
        Where each column stands; `TRADE_COUNT` is whole numbers, -1 where it is absent.

    Raises
    ------
    ProviderAnswerError
        A row lacks a price or its time, or holds none.
    """
    try:
        columns: dict[BarColumn, npt.NDArray[Any]] = {
            BarColumn.TIME: to_unix_times([row[time_field] for row in rows])
        }
        for column, name in fields.items():
            if column is BarColumn.TRADE_COUNT:
                counts = [-1 if row.get(name) is None else row[name] for row in rows]
                columns[column] = np.array(counts, np.int64)
            else:
                columns[column] = np.array([row[name] for row in rows], np.float64)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        problem = ProviderAnswerError("the bars are not rows of a time and numbers")
    else:
        check_sane(columns[BarColumn.TIME])
        return columns
    raise problem


def to_unix_times(texts: Sequence[str]) -> Int64Array:
    """Turn RFC 3339 times of any offset into Unix microseconds, int64[n].

    Raises
    ------
    ValueError, TypeError, AttributeError
        One is no such time, or has no offset.
    """
    if all(text.endswith("Z") for text in texts):
        # At once: a page has 10,000 of them. An offset numpy would not take.
        return np.array([text[:-1] for text in texts], "datetime64[us]").astype(np.int64)
    return np.array([to_unix_us(datetime.fromisoformat(text)) for text in texts], np.int64)
