"""Tiingo's side, played from the truth: the shapes are those of its documentation."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from marketdata.domain.time_range import TimeRange, from_unix_us, session_label_us
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.providers.iex.tiingo import NAME, TiingoProvider
from tests.support.providers.adapters import AdapterUnderTest, Circumstances, Played
from tests.support.providers.faults import SERVER_FAULTS, Fault
from tests.support.providers.played import PlayedCall, Reply, loopback
from tests.support.providers.truth import Truth, hole_us

TOKEN: Final = "tiingo0123456789abcdef0123456789abcdef01"  # noqa: S105 -- opens nothing
_NEW_YORK: Final = ZoneInfo("America/New_York")
USED_UP: Final = (
    "Error: You have run over your hourly request allocation. Please upgrade at "
    "https://api.tiingo.com/pricing to have your limits increased."
)


class TiingoDialect:
    """Answers ``/iex/{ticker}/prices`` as Tiingo does; days are those of UTC, the last one included."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._before: Reply | None = None

    def reply(self, call: PlayedCall) -> Reply:
        """Answer a call."""
        if call.headers.get("authorization") != f"Token {TOKEN}":
            return Reply(b'{"detail": "Invalid token."}', 403)
        if call.fault is Fault.LIMIT_IN_200:
            return _json({"detail": f"{USED_UP} ({TOKEN})"})
        symbol = call.path.split("/")[2].replace("-", ".")
        if (symbol, Timeframe.MINUTE_1) not in self._truth.bars:
            return _json([])
        if call.fault is Fault.REPEATED_PAGE and self._before is not None:
            return self._before
        self._before = self._bars(symbol, call)
        return self._before

    def _bars(self, symbol: str, call: PlayedCall) -> Reply:
        start, last = (
            session_label_us(datetime.fromisoformat(call.query[name]).date())
            for name in ("startDate", "endDate")
        )
        wanted = TimeRange(start, last + MICROSECONDS_PER_DAY)
        frame = self._truth.within(symbol, Timeframe.MINUTE_1, wanted)
        names = call.query["columns"].split(",")
        columns = {name: getattr(frame, name).tolist() for name in names}
        rows: list[dict[str, Any]] = [
            {"date": _moment(time_us, call.fault), **{name: columns[name][row] for name in names}}
            for row, time_us in enumerate(frame.time_us.tolist())
        ]
        if call.fault is Fault.REORDERED:
            np.random.default_rng(1).shuffle(rows)
        hole = hole_us(frame.time_us, Timeframe.MINUTE_1)
        if call.fault is Fault.NAN_ROWS and hole is not None:
            rows.append({"date": _moment(hole, None), **dict.fromkeys(names), "volume": 0})
        return _json(rows)


def _moment(time_us: int, fault: Fault | None) -> str:
    moment = from_unix_us(time_us)
    if fault is Fault.OTHER_TIME_ZONE:
        return moment.astimezone(_NEW_YORK).isoformat()
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"


def _json(document: Any) -> Reply:
    return Reply(json.dumps(document).encode())


@asynccontextmanager
async def play(given: Circumstances) -> AsyncIterator[Played]:
    """Build the adapter against its side."""
    async with loopback(TiingoDialect(given.truth), given.faults) as server:
        provider = TiingoProvider(TOKEN, given.surroundings(), server.address)
        try:
            yield Played(provider, server)
        finally:
            await provider.aclose()


TIINGO: Final = AdapterUnderTest(
    name=NAME,
    play=play,
    faults=SERVER_FAULTS
    | {
        Fault.LIMIT_IN_200,
        Fault.REPEATED_PAGE,
        Fault.REORDERED,
        Fault.OTHER_TIME_ZONE,
        Fault.NAN_ROWS,
    },
    secrets=(TOKEN,),
    spellings={"BRK.B": "BRK-B"},
)
