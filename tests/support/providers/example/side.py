"""The example's side: how the company would speak."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import numpy as np

from marketdata.domain.bars import BarFrame
from marketdata.domain.time_range import TimeRange, from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.providers.http.assembly import Access, make_caller
from tests.support.providers.adapters import AdapterUnderTest, Circumstances, Played
from tests.support.providers.example.adapter import LIMITS, NAME, ExampleProvider
from tests.support.providers.faults import SERVER_FAULTS, Fault
from tests.support.providers.played import PlayedCall, Reply, loopback
from tests.support.providers.truth import Truth, hole_us

KEY: Final = "example/secret+key"
_TIMEFRAMES: Final = {"minute": Timeframe.MINUTE_1, "day": Timeframe.DAY_1}


class ExampleDialect:
    """Answers calls of the example's key; every other one is refused."""

    def __init__(self, truth: Truth, page_bars: int) -> None:
        self._truth = truth
        self._page_bars = page_bars
        self._before = 0

    def reply(self, call: PlayedCall) -> Reply:
        """Answer a call."""
        symbol = call.query.get("symbol", "").replace("/", ".")
        if call.headers.get("x-example-key") != KEY:
            return Reply(b"{}", 401)
        if symbol not in {name for name, _ in self._truth.bars}:
            return Reply(b"{}", 404)
        if call.fault is Fault.LIMIT_IN_200:
            return _json({"limit": f"{KEY} has no more calls in this minute"})
        return self._bars(symbol, call) if call.path == "/bars" else self._actions(symbol)

    def _bars(self, symbol: str, call: PlayedCall) -> Reply:
        wanted = TimeRange(int(call.query["from"]), int(call.query["to"]))
        timeframe = _TIMEFRAMES[call.query["step"]]
        frame = self._truth.within(symbol, timeframe, wanted)
        first = int(call.query.get("page", "0"))
        if call.fault is Fault.REPEATED_PAGE:
            first = self._before
        self._before = first
        behind = first + self._page_bars
        rows = _rows(frame.take(slice(first, behind)), timeframe, call.fault)
        return _json({"rows": rows, "next": str(behind) if behind < len(frame) else None})

    def _actions(self, symbol: str) -> Reply:
        events = [
            {
                "kind": action.kind.value,
                "ex_date": str(action.ex_date),
                "ratio": action.split_ratio,
                "amount": action.cash_amount,
            }
            for action in reversed(self._truth.actions[symbol])
        ]
        return _json({"events": events})


def _rows(frame: BarFrame, timeframe: Timeframe, fault: Fault | None) -> list[list[Any]]:
    columns = (frame.open, frame.high, frame.low, frame.close, frame.volume)
    rows: list[list[Any]] = [
        [_moment(time_us), *numbers]
        for time_us, *numbers in zip(
            frame.time_us.tolist(), *(c.tolist() for c in columns), strict=True
        )
    ]
    if fault is Fault.REORDERED:
        np.random.default_rng(1).shuffle(rows)
    hole = hole_us(frame.time_us, timeframe) if fault is Fault.NAN_ROWS else None
    if hole is not None:
        rows.append([_moment(hole), None, None, None, None, 0.0])
    return rows


def _moment(time_us: int) -> str:
    return from_unix_us(time_us).replace(tzinfo=None).isoformat()


def _json(document: Any) -> Reply:
    return Reply(json.dumps(document).encode("utf-8"))


@asynccontextmanager
async def play(circumstances: Circumstances) -> AsyncIterator[Played]:
    """Build the adapter against its side."""
    given = circumstances
    async with loopback(ExampleDialect(given.truth, given.page_bars), given.faults) as server:
        access = Access(server.address, (KEY,), {"x-example-key": KEY})
        caller = make_caller(NAME, access, LIMITS, given.surroundings())
        provider = ExampleProvider(caller)
        try:
            yield Played(provider, server)
        finally:
            await provider.aclose()


EXAMPLE: Final = AdapterUnderTest(
    name=NAME,
    play=play,
    faults=SERVER_FAULTS | {Fault.LIMIT_IN_200, Fault.REPEATED_PAGE, Fault.REORDERED, Fault.NAN_ROWS},
    secrets=(KEY,),
    spellings={"BRK.B": "BRK/B"},
    has_daily_limit=True,
)
