"""Alpha Vantage's series turned into columns: pure, CSV and JSON alike, no loop per bar for CSV.

https://www.alphavantage.co/documentation/ describes both. CSV is half as long and has no time zone: it
is asked for only where the zone is known to be New York's. What comes is told by the body, not by what
was asked for: messages come as JSON in any case.
"""

from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import BarColumn, Float64Array, Int64Array
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.time_range import session_date
from marketdata.errors import ProviderAnswerError
from marketdata.providers.alpha_vantage.messages import check_message
from marketdata.providers.http.answer import HttpAnswer
from marketdata.providers.http.caller import expect_ok
from marketdata.providers.local_times import check_sane, find_zone, to_utc_us

CSV_ZONE: Final = ZoneInfo("America/New_York")

_TIME: Final = "timestamp"
_COLUMNS: Final = {column.value: column for column in (
    BarColumn.OPEN, BarColumn.HIGH, BarColumn.LOW, BarColumn.CLOSE, BarColumn.VOLUME,
)}  # fmt: skip
_DIVIDEND: Final = "dividend_amount"
_SPLIT: Final = "split_coefficient"
_SOURCE: Final = "Alpha Vantage, TIME_SERIES_DAILY_ADJUSTED"


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Bars as answered, the newest first.

    Attributes
    ----------
    time_us : int64[n]
        Opens in UTC; session labels of daily bars. Unix microseconds.
    columns : dict of BarColumn to array
        Time, prices as traded, volume in shares.
    dividends, splits : float64[n] or None
        Dividend a share and split coefficient of each session, 0 and 1 where there was none; None
        where the series has no such columns.
    """

    time_us: Int64Array
    columns: dict[BarColumn, npt.NDArray[Any]]
    dividends: Float64Array | None = None
    splits: Float64Array | None = None

    def actions(self) -> list[CorporateAction]:
        """List the corporate actions, ascending; empty where the series has no such columns."""
        if self.dividends is None or self.splits is None:
            return []
        events = (self.dividends != 0) | (self.splits != 1)
        found: list[CorporateAction] = []
        for row in np.flatnonzero(events).tolist():
            ex_date = session_date(int(self.time_us[row]))
            if self.splits[row] != 1:
                ratio = float(self.splits[row])
                kind = CorporateActionKind.SPLIT
                found.append(CorporateAction(kind, ex_date, split_ratio=ratio, source=_SOURCE))
            if self.dividends[row] != 0:
                amount = float(self.dividends[row])
                kind = CorporateActionKind.CASH_DIVIDEND
                found.append(CorporateAction(kind, ex_date, cash_amount=amount, source=_SOURCE))
        return sorted(found, key=lambda action: action.ex_date)


#: No bars at all.
NO_BARS: Final = Series(
    np.empty(0, np.int64),
    {
        BarColumn.TIME: np.empty(0, np.int64),
        **dict.fromkeys(_COLUMNS.values(), np.empty(0, np.float64)),
    },
)


def parse_series(answer: HttpAnswer, symbol: str, *, is_daily: bool) -> Series:
    """Turn an answer into columns.

    Parameters
    ----------
    answer : HttpAnswer
        CSV or JSON.
    symbol : str
        As it was asked for.
    is_daily : bool
        Whether times are dates of sessions.

    Raises
    ------
    ProviderLimitError, ProviderKeyError, ProviderSymbolError
        As `check_message` says.
    ProviderAnswerError
        It is not what the documentation says.
    """
    text = expect_ok(answer).text()
    if not text.strip():
        raise ProviderAnswerError("the answer is empty")
    if text.lstrip().startswith(("{", "[")):
        document = answer.json()
        check_message(document, symbol, answer.asked_us)
        table, zone = _read_json(document, symbol)
    else:
        table, zone = _read_csv(text), CSV_ZONE
    return _to_series(table, None if is_daily else zone)


def _read_csv(text: str) -> dict[str, npt.NDArray[Any]]:
    head, _, body = text.partition("\n")
    names = head.strip().split(",")
    if names[0] != _TIME or not _COLUMNS.keys() <= set(names):
        raise ProviderAnswerError("the answer is neither the CSV of the documentation nor JSON")
    if body and not body.endswith("\n"):
        raise ProviderAnswerError("the answer breaks off within a line")
    row = np.dtype([(name, "datetime64[us]" if name == _TIME else np.float64) for name in names])
    try:
        rows = np.loadtxt(body.splitlines(), row, delimiter=",", ndmin=1) if body.strip() else None
    except ValueError:  # its text quotes the line
        problem = ProviderAnswerError("a line of the answer is not one of the documentation's CSV")
    else:
        if rows is None:
            rows = np.empty(0, row)
        # Copies: a field of a structured array is strided and would keep all of `rows` alive.
        return {name: rows[name].copy() for name in names}
    raise problem


def _read_json(document: dict[str, Any], symbol: str) -> tuple[dict[str, npt.NDArray[Any]], ZoneInfo]:
    series = next((value for name, value in document.items() if "Time Series" in name), None)
    meta = document.get("Meta Data")
    if not isinstance(series, dict) or not isinstance(meta, dict):
        raise ProviderAnswerError("the answer has no series, or no meta data")
    told = {str(name).partition(". ")[2]: str(value) for name, value in meta.items()}
    if told.get("Symbol", symbol).upper() != symbol.upper():
        raise ProviderAnswerError("the answer is about another symbol")
    try:
        names = [str(name) for row in list(series.values())[:1] for name in row]
        table = {
            name.partition(". ")[2].replace(" ", "_"): np.array(
                [row[name] for row in series.values()], np.float64
            )
            for name in names
        }
        table[_TIME] = np.array(list(series), "datetime64[us]")
    except (KeyError, ValueError, TypeError):
        problem = ProviderAnswerError("the series is not rows of a time and numbers")
    else:
        return table, find_zone(told.get("Time Zone", ""))
    raise problem


def _to_series(table: dict[str, npt.NDArray[Any]], zone: ZoneInfo | None) -> Series:
    if len(table[_TIME]) and not _COLUMNS.keys() <= table.keys():
        raise ProviderAnswerError("the series lacks prices or volume")
    wall_us = table[_TIME].astype(np.int64)
    check_sane(wall_us)
    time_us = wall_us if zone is None else to_utc_us(wall_us, zone)
    none = np.empty(0, np.float64)
    columns: dict[BarColumn, npt.NDArray[Any]] = {BarColumn.TIME: time_us}
    columns |= {column: table.get(name, none) for name, column in _COLUMNS.items()}
    return Series(time_us, columns, table.get(_DIVIDEND), table.get(_SPLIT))
