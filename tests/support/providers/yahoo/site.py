"""Yahoo's site, played: what it makes of raw bars, and how it says it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from marketdata.domain.bars import PRICE_COLUMNS, BarFrame, Float64Array, Int64Array
from marketdata.domain.calendar import SessionPart
from marketdata.domain.company import CompanyFacts
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.time_range import session_label_us
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND, Timeframe
from tests.support.providers.faults import Fault
from tests.support.providers.played import PlayedCall, Reply
from tests.support.providers.truth import Truth, hole_us

_TIMEFRAMES: Final = {"1m": Timeframe.MINUTE_1, "1h": Timeframe.HOUR_1, "1d": Timeframe.DAY_1}
_WEEK_S: Final = 7 * 86_400
_HALF_PAST_NINE_S: Final = 34_200


def as_yahoo_keeps(prices: Float64Array, ratios: Float64Array) -> list[float | None]:
    """Divide prices by the ratios of later splits, and round as Yahoo does."""
    adjusted = np.where(ratios == 1, prices, np.round(prices / ratios, 6))
    kept = adjusted.astype(np.float32).astype(np.float64)
    return [None if np.isnan(price) else price for price in kept.tolist()]


@dataclass(frozen=True)
class PlayedStock:
    """What Yahoo knows of a symbol.

    Attributes
    ----------
    bars : mapping of Timeframe to BarFrame
        Raw; NaN where it has nothing.
    actions : sequence of CorporateAction
        As declared.
    company : CompanyFacts or None
        Facts.
    has_whole_volumes : bool
        Whether it rounds volumes to whole shares, as the real one does.
    meta : mapping
        Laid over the meta of its charts.
    last_row : tuple of (int, float, float) or None
        Unix seconds, price and volume of the row of the latest trade, at the end of each chart.
    """

    bars: Mapping[Timeframe, BarFrame]
    actions: Sequence[CorporateAction] = ()
    company: CompanyFacts | None = None
    has_whole_volumes: bool = True
    meta: Mapping[str, Any] = field(default_factory=dict)
    last_row: tuple[int, float, float] | None = None


class YahooDialect:
    """Speaks as chart v8 and quoteSummary v10 do.

    Parameters
    ----------
    stocks : mapping of str to PlayedStock
        By Yahoo's spelling.
    """

    def __init__(self, stocks: Mapping[str, PlayedStock]) -> None:
        self._stocks = stocks

    @classmethod
    def of_truth(cls, truth: Truth, spellings: Mapping[str, str]) -> "YahooDialect":
        """Play what a truth knows. Volumes are not rounded: merged shares would lose some."""
        symbols = {symbol for symbol, _ in truth.bars}
        return cls(
            {
                spellings.get(symbol, symbol): PlayedStock(
                    {frame: truth.bars[symbol, frame] for frame in _TIMEFRAMES.values()},
                    truth.actions.get(symbol, ()),
                    truth.companies.get(symbol),
                    has_whole_volumes=False,
                )
                for symbol in symbols
            }
        )

    def reply(self, call: PlayedCall) -> Reply:
        """Answer a call."""
        *_, kind, spelling = call.path.split("/")
        stock = self._stocks.get(spelling)
        if kind == "quoteSummary":
            return _summary(stock, spelling)
        if stock is None:
            return _refusal("chart", 404, "Not Found", "No data found, symbol may be delisted")
        return _chart(stock, spelling, call)


def _refusal(name: str, status: int, code: str, description: str) -> Reply:
    error = {"code": code, "description": description}
    return Reply(json.dumps({name: {"result": None, "error": error}}).encode(), status)


def _chart(stock: PlayedStock, spelling: str, call: PlayedCall) -> Reply:
    start_s, end_s = int(call.query["period1"]), int(call.query["period2"])
    if start_s >= end_s:
        return _refusal(
            "chart", 400, "Bad Request", "Invalid input - start date cannot be after end date"
        )
    timeframe = _TIMEFRAMES[call.query["interval"]]
    if timeframe is Timeframe.MINUTE_1 and end_s - start_s > _WEEK_S:
        text = f"1m data not available for startTime={start_s} and endTime={end_s}. Only 7 days worth"
        return _refusal("chart", 422, "Unprocessable Entity", text)
    frame = stock.bars[timeframe]
    if timeframe is Timeframe.MINUTE_1 and call.query["includePrePost"] != "true":
        parts = get_calendar("XNYS").session_parts(frame.time_us)
        frame = frame.take(parts == SessionPart.REGULAR)
    stamps = stamps_of(frame.time_us) if timeframe is Timeframe.DAY_1 else frame.time_us
    stamps = stamps // MICROSECONDS_PER_SECOND
    rows = np.flatnonzero((stamps >= start_s) & (stamps < end_s))
    if call.fault is Fault.REORDERED:
        rows = np.random.default_rng(1).permutation(rows)
    events = _events(stock.actions, start_s, end_s)
    if len(rows) == 0 and not events and stock.last_row is None:
        text = f"Data doesn't exist for startDate = {start_s}, endDate = {end_s}"
        return _refusal("chart", 400, "Bad Request", text)
    result = {
        "meta": _meta(spelling, stock, timeframe, frame.time_us[rows]),
        **_rows(stock, frame.take(rows), stamps[rows], timeframe, call.fault),
        **({"events": events} if events else {}),
    }
    return Reply(json.dumps({"chart": {"result": [result], "error": None}}).encode())


def _rows(
    stock: PlayedStock,
    frame: BarFrame,
    stamps: Int64Array,
    timeframe: Timeframe,
    fault: Fault | None,
) -> dict[str, Any]:
    labels = session_labels(frame.time_us, timeframe)
    ratios = split_ratios_by_hand(labels, stock.actions)
    quote: dict[str, list[float | None]] = {
        column.value: as_yahoo_keeps(frame.column(column), ratios) for column in PRICE_COLUMNS
    }
    volume = frame.volume * ratios
    if stock.has_whole_volumes:
        volume = np.rint(volume)
    quote["volume"] = [None if np.isnan(v) else v for v in volume.tolist()]
    times = stamps.tolist()
    hole = hole_us(frame.time_us, timeframe) if fault is Fault.NAN_ROWS else None
    if hole is not None:
        is_daily = timeframe is Timeframe.DAY_1
        stamp_us = int(stamps_of(np.array([hole]))[0]) if is_daily else hole
        times.append(stamp_us // MICROSECONDS_PER_SECOND)
        for column in PRICE_COLUMNS:
            quote[column.value].append(None)
        quote["volume"].append(0)
    if stock.last_row is not None:
        at_s, price, last_volume = stock.last_row
        times.append(at_s)
        for column in PRICE_COLUMNS:
            quote[column.value].append(price)
        quote["volume"].append(last_volume)
    if not times:
        return {"indicators": {"quote": [{}], "adjclose": [{}]}}
    indicators = {"quote": [quote], "adjclose": [{"adjclose": quote["close"]}]}
    return {"timestamp": times, "indicators": indicators}


def _meta(
    spelling: str, stock: PlayedStock, timeframe: Timeframe, time_us: Int64Array
) -> dict[str, Any]:
    meta: dict[str, Any] = {
        "currency": "USD",
        "symbol": spelling,
        "exchangeTimezoneName": "America/New_York",
        "instrumentType": "EQUITY",
        "dataGranularity": timeframe.value,
        "validRanges": ["1d", "max"],
    }
    if timeframe is not Timeframe.DAY_1 and len(time_us):
        calendar = get_calendar("XNYS")
        labels = np.unique(calendar.session_labels(time_us))
        rows = np.searchsorted(calendar.label_us, labels)
        regular = [
            [{"timezone": "EST", "start": int(start_us) // 1_000_000, "end": int(end_us) // 1_000_000}]
            for start_us, end_us in zip(calendar.open_us[rows], calendar.close_us[rows], strict=True)
        ]
        is_extended = timeframe is Timeframe.MINUTE_1
        meta["tradingPeriods"] = {"pre": [], "regular": regular, "post": []} if is_extended else regular
    return {**meta, **stock.meta}


def _events(actions: Sequence[CorporateAction], start_s: int, end_s: int) -> dict[str, Any]:
    events: dict[str, dict[str, Any]] = {}
    for action in actions:
        label_us = session_label_us(action.ex_date)
        stamp = int(stamps_of(np.array([label_us]))[0]) // MICROSECONDS_PER_SECOND
        if not start_s <= stamp < end_s:
            continue
        if action.kind is CorporateActionKind.SPLIT:
            ratio = action.split_ratio or 0.0
            new, old = (ratio, 1.0) if ratio >= 1 else (1.0, round(1 / ratio))
            split = {"date": stamp, "numerator": new, "denominator": old, "splitRatio": f"{new}:{old}"}
            events.setdefault("splits", {})[str(stamp)] = split
        else:
            ratios = split_ratios_by_hand(np.array([label_us]), actions)
            (amount,) = as_yahoo_keeps(np.array([action.cash_amount]), ratios)
            events.setdefault("dividends", {})[str(stamp)] = {"amount": amount, "date": stamp}
    return events


def _summary(stock: PlayedStock | None, spelling: str) -> Reply:
    facts = stock.company if stock is not None else None
    if facts is None:
        text = f"Quote not found for symbol: {spelling}"
        return _refusal("quoteSummary", 404, "Not Found", text)
    quoted_s = session_label_us(facts.as_of) // 1_000_000 if facts.as_of else None
    result = {
        "assetProfile": {
            "sector": facts.sector,
            "industry": facts.industry,
            "fullTimeEmployees": facts.employees,
        },
        "price": {
            "longName": facts.name,
            "currency": facts.currency,
            "marketCap": facts.market_cap,
            "regularMarketTime": quoted_s,
        },
        "defaultKeyStatistics": {"sharesOutstanding": facts.shares_outstanding},
    }
    return Reply(json.dumps({"quoteSummary": {"result": [result], "error": None}}).encode())


def stamps_of(label_us: Int64Array) -> Int64Array:
    """Stamp sessions as Yahoo does: their open at the exchange, 09:30 in New York."""
    days = label_us // MICROSECONDS_PER_DAY
    walls = days * MICROSECONDS_PER_DAY + _HALF_PAST_NINE_S * MICROSECONDS_PER_SECOND
    return walls - _offsets_us(walls)


def _offsets_us(walls: Int64Array) -> Int64Array:
    zone = ZoneInfo("America/New_York")
    moments = (
        datetime.fromtimestamp(wall_us / 1e6, UTC).replace(tzinfo=zone) for wall_us in walls.tolist()
    )
    offsets = [(moment.utcoffset() or timedelta()) // timedelta(microseconds=1) for moment in moments]
    return np.array(offsets, np.int64)


def session_labels(time_us: Int64Array, timeframe: Timeframe) -> Int64Array:
    """Tell the session dates of bars in New York."""
    if timeframe is Timeframe.DAY_1:
        return time_us
    return get_calendar("XNYS").session_labels(time_us)


def split_ratios_by_hand(label_us: Int64Array, actions: Sequence[CorporateAction]) -> Float64Array:
    """Multiply the ratios of the splits after each session, one after the other."""
    ratios = np.ones(len(label_us))
    for action in actions:
        if action.split_ratio is not None:
            ratios[label_us < session_label_us(action.ex_date)] *= action.split_ratio
    return ratios
