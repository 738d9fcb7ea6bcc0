"""Alpaca's side, played from the truth: the shapes are those of its documentation."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from marketdata.domain.bars import BarColumn, BarFrame
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.time_range import TimeRange, from_unix_us, session_date, to_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.providers.iex.alpaca import NAME, AlpacaProvider
from tests.support.providers.adapters import OHLCV, AdapterUnderTest, Circumstances, Played
from tests.support.providers.faults import SERVER_FAULTS, Fault
from tests.support.providers.played import PlayedCall, Reply, loopback
from tests.support.providers.truth import Truth, hole_us

KEY_ID: Final = "PKALPACAKEYID0123456"
SECRET: Final = "alpaca/secret+0123456789abcdef"  # noqa: S105 -- opens nothing
_NEW_YORK: Final = ZoneInfo("America/New_York")
_STEPS: Final = {"1Min": Timeframe.MINUTE_1, "1Day": Timeframe.DAY_1}
_SHORT: Final = {
    "o": BarColumn.OPEN,
    "h": BarColumn.HIGH,
    "l": BarColumn.LOW,
    "c": BarColumn.CLOSE,
    "v": BarColumn.VOLUME,
    "n": BarColumn.TRADE_COUNT,
    "vw": BarColumn.VWAP,
}


class AlpacaDialect:
    """Answers bars and corporate actions as Alpaca does; pages are as small as is said."""

    def __init__(self, truth: Truth, page_bars: int) -> None:
        self._truth = truth
        self._page_bars = page_bars
        self._before: dict[str, Reply] = {}

    def reply(self, call: PlayedCall) -> Reply:
        """Answer a call."""
        keys = (call.headers.get("apca-api-key-id"), call.headers.get("apca-api-secret-key"))
        if keys != (KEY_ID, SECRET):
            return Reply(b'{"message": "forbidden."}', 403)
        if call.path == "/v1/corporate-actions":
            return self._actions(call)
        symbol = call.path.removeprefix("/v2/stocks/").removesuffix("/bars")
        assert (call.query["feed"], call.query["adjustment"], call.query["asof"]) == ("iex", "raw", "-")
        if not symbol.replace(".", "").isalpha():
            return _json({"message": f"code=400, message=invalid symbol: {symbol}"}, 400)
        listed = f"{symbol} {call.query['timeframe']}"
        if call.fault is Fault.REPEATED_PAGE and listed in self._before:
            return self._before[listed]
        self._before[listed] = self._bars(symbol, call)
        return self._before[listed]

    def _bars(self, symbol: str, call: PlayedCall) -> Reply:
        timeframe = _STEPS[call.query["timeframe"]]
        start, end = (_us(call.query[name], timeframe) for name in ("start", "end"))
        if (symbol, timeframe) not in self._truth.bars:
            return _json({"bars": None, "symbol": symbol, "next_page_token": None})
        # Both ends are inclusive.
        frame = self._truth.within(symbol, timeframe, TimeRange(start, end + 1))
        first = int(call.query.get("page_token", "0"))
        behind = first + min(self._page_bars, int(call.query["limit"]))
        rows = rows_of(frame.take(slice(first, behind)), timeframe, call.fault)
        token = str(behind) if behind < len(frame) else None
        return _json({"bars": rows, "symbol": symbol, "next_page_token": token})

    def _actions(self, call: PlayedCall) -> Reply:
        symbol = call.query["symbols"]
        if symbol not in self._truth.actions:
            return _json({"message": f"invalid symbol: {symbol}"}, 400)
        listed = [
            (action, action.ex_date + timedelta(days=90 if action.cash_amount else 0))
            for action in self._truth.actions[symbol]
        ]
        wanted = [
            action
            for action, processed in listed
            if call.query["start"] <= str(processed) <= call.query["end"]
        ]
        # Two a page, so that there are pages.
        first = int(call.query.get("page_token", "0"))
        groups: dict[str, list[Mapping[str, Any]]] = {}
        for action in wanted[first : first + 2]:
            name, event = _event(symbol, action)
            groups.setdefault(name, []).append(event)
        token = str(first + 2) if first + 2 < len(wanted) else None
        return _json({"corporate_actions": groups, "next_page_token": token})


def _us(text: str, timeframe: Timeframe) -> int:
    moment = datetime.fromisoformat(text)
    if timeframe is Timeframe.DAY_1:
        # Bars of days lie at midnight in New York; the truth has labels.
        local = moment.astimezone(_NEW_YORK)
        assert (local.hour, local.minute) == (0, 0)
        moment = local.replace(tzinfo=UTC)
    return to_unix_us(moment)


def rows_of(frame: BarFrame, timeframe: Timeframe, fault: Fault | None = None) -> list[dict[str, Any]]:
    """Write bars as Alpaca does, in pages and in its stream."""
    columns = {name: frame.column(column).tolist() for name, column in _SHORT.items()}
    times = [_moment(time_us, timeframe, fault) for time_us in frame.time_us.tolist()]
    rows = [
        {"t": moment, **{name: values[row] for name, values in columns.items()}}
        for row, moment in enumerate(times)
    ]
    if fault is Fault.REORDERED:
        np.random.default_rng(1).shuffle(rows)
    hole = hole_us(frame.time_us, timeframe) if fault is Fault.NAN_ROWS else None
    if hole is not None:
        rows.append(
            {"t": _moment(hole, timeframe, fault), **dict.fromkeys("ohlc"), "v": 0, "n": 0, "vw": None}
        )
    return rows


def _moment(time_us: int, timeframe: Timeframe, fault: Fault | None) -> str:
    moment = from_unix_us(time_us)
    if timeframe is Timeframe.DAY_1:
        day = session_date(time_us)
        moment = datetime(day.year, day.month, day.day, tzinfo=_NEW_YORK).astimezone(UTC)
    if fault is Fault.OTHER_TIME_ZONE:
        return moment.astimezone(_NEW_YORK).isoformat()
    return moment.isoformat().replace("+00:00", "Z")


def _event(symbol: str, action: CorporateAction) -> tuple[str, Mapping[str, Any]]:
    day = str(action.ex_date)
    if action.kind is CorporateActionKind.CASH_DIVIDEND:
        is_special = (action.cash_amount or 0) > 1
        event = {"symbol": symbol, "rate": action.cash_amount, "special": is_special, "ex_date": day}
        return "cash_dividends", event
    ratio = action.split_ratio or 1.0
    new, old = (ratio, 1) if ratio > 1 else (1, round(1 / ratio))
    name = "forward_splits" if ratio > 1 else "reverse_splits"
    return name, {"symbol": symbol, "new_rate": new, "old_rate": old, "ex_date": day}


def _json(document: Mapping[str, Any], status: int = 200) -> Reply:
    return Reply(json.dumps(document).encode(), status)


@asynccontextmanager
async def play(given: Circumstances) -> AsyncIterator[Played]:
    """Build the adapter against its side."""
    async with loopback(AlpacaDialect(given.truth, given.page_bars), given.faults) as server:
        provider = AlpacaProvider(KEY_ID, SECRET, 60_000, given.surroundings(), server.address)
        try:
            yield Played(provider, server)
        finally:
            await provider.aclose()


ALPACA: Final = AdapterUnderTest(
    name=NAME,
    play=play,
    columns=OHLCV | {BarColumn.VWAP, BarColumn.TRADE_COUNT},
    faults=SERVER_FAULTS
    | {Fault.REPEATED_PAGE, Fault.REORDERED, Fault.OTHER_TIME_ZONE, Fault.NAN_ROWS},
    secrets=(KEY_ID, SECRET),
    # A symbol that it does not know has no bars, as one that did not trade.
    tells_unknown=False,
)
