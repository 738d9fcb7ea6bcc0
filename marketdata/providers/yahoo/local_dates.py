"""Dates at the exchange of moments: pure."""

from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from marketdata.domain.bars import Int64Array
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY
from marketdata.errors import ProviderAnswerError

_MICROSECONDS_PER_HOUR: Final = 3_600_000_000
# Yahoo stamps daily bars of some exchanges with a midnight of the other half of the year: 23:00 of the
# day before, or 22:00 where daylight saving is two hours. yfinance knows the same two.
_MISSED_MIDNIGHTS: Final = (22, 23)


def local_labels(time_us: Int64Array, time_zone: str) -> Int64Array:
    """Tell the date of each moment at the exchange.

    Parameters
    ----------
    time_us : int64[n]
        Unix microseconds.
    time_zone : str
        IANA name.

    Returns
    -------
    int64[n]
        Dates at 00:00:00 UTC, Unix microseconds.

    Raises
    ------
    ProviderAnswerError
        There is no such zone.
    """
    wall_us = _wall_us(time_us, time_zone)
    return wall_us - wall_us % MICROSECONDS_PER_DAY


def daily_labels(time_us: Int64Array, time_zone: str, *, has_live_end: bool) -> Int64Array:
    """Tell the session of each stamp of a daily chart.

    Parameters
    ----------
    time_us, time_zone
        As `local_labels` takes them.
    has_live_end : bool
        Whether the last one may be the moment of a trade: then its date is what it says.

    Returns
    -------
    int64[n]
        As `local_labels`; raises as it does.
    """
    wall_us = _wall_us(time_us, time_zone)
    hours, rest = np.divmod(wall_us % MICROSECONDS_PER_DAY, _MICROSECONDS_PER_HOUR)
    is_missed = np.isin(hours, _MISSED_MIDNIGHTS) & (rest == 0)
    if has_live_end:
        is_missed[-1:] = False
    labels: Int64Array = (wall_us // MICROSECONDS_PER_DAY + is_missed) * MICROSECONDS_PER_DAY
    return labels


def _wall_us(time_us: Int64Array, time_zone: str) -> Int64Array:
    import pandas as pd  # noqa: PLC0415 -- yfinance brings it; importing it takes a second

    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ProviderAnswerError(
            f"Yahoo says {time_zone[:40]!r} for the exchange's time zone, which is not known here"
        ) from None
    local = pd.DatetimeIndex(time_us.astype("datetime64[us]"), tz="UTC").tz_convert(zone)
    return np.array(local.tz_localize(None), "datetime64[us]").astype(np.int64)
