"""Alpha Vantage's side, played from the truth: the shapes are those of its documentation."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from marketdata.domain.bars import BarFrame
from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.time_range import from_unix_us, session_date
from marketdata.domain.timeframe import Timeframe
from marketdata.providers.alpha_vantage.adapter import AlphaVantageProvider
from marketdata.providers.alpha_vantage.plan import NAME, Plan
from marketdata.providers.months import month_around
from tests.support.providers.adapters import AdapterUnderTest, Circumstances, Played
from tests.support.providers.faults import SERVER_FAULTS, Fault
from tests.support.providers.played import PlayedCall, Reply, loopback
from tests.support.providers.truth import Truth, hole_us
from tests.support.sessions import local_us

KEY: Final = "AV/KEY+0123456789"
PREMIUM_ENDPOINT: Final = (
    "Thank you for using Alpha Vantage! This is a premium endpoint. You may subscribe to any of the "
    "premium plans at https://www.alphavantage.co/premium/ to instantly unlock all premium endpoints"
)
PREMIUM_SIZE: Final = (
    "Thank you for using Alpha Vantage! The outputsize=full parameter value is a premium feature for "
    "the TIME_SERIES_DAILY endpoint. You may subscribe to any of the premium plans at "
    "https://www.alphavantage.co/premium/ to instantly unlock all premium features"
)
USED_UP: Final = (
    "We have detected your API key as {key} and our standard API rate limit is 25 requests per day. "
    "Please subscribe to any of the premium plans at https://www.alphavantage.co/premium/ to instantly "
    "remove all daily rate limits."
)
_NEW_YORK: Final = ZoneInfo("America/New_York")
_NUMBERS: Final = ("open", "high", "low", "close", "volume")
_NEWEST: Final = 100

Row = tuple[str, Sequence[str]]


class AlphaVantageDialect:
    """Answers ``/query`` as Alpha Vantage does.

    Parameters
    ----------
    truth : Truth
        What it knows.
    is_free : bool
        Whether the key is of the free plan.
    speaks_json : bool
        Whether it answers JSON whatever was asked for.
    """

    def __init__(self, truth: Truth, *, is_free: bool = False, speaks_json: bool = False) -> None:
        self._truth = truth
        self._is_free = is_free
        self._speaks_json = speaks_json
        self._before: Reply | None = None

    def reply(self, call: PlayedCall) -> Reply:
        """Answer a call."""
        if call.fault is Fault.LIMIT_IN_200:
            return _json({"Information": USED_UP.format(key=call.query.get("apikey"))})
        if call.query.get("apikey") != KEY:
            return _json({"Error Message": "the parameter apikey is invalid or missing."})
        if call.fault is Fault.REPEATED_PAGE and self._before is not None:
            return self._before
        self._before = self._answer(call)
        return self._before

    def _answer(self, call: PlayedCall) -> Reply:
        function = call.query["function"]
        if function == "LISTING_STATUS":
            return _as_listings(self._truth, is_listed=call.query["state"] == "active")
        symbol = call.query["symbol"].replace("-", ".")
        if function == "OVERVIEW":
            return _json(self._overview(symbol))
        refusal = self._refusal(call)
        if refusal:
            return _json({"Information": refusal})
        if (symbol, Timeframe.DAY_1) not in self._truth.bars:
            return _json(
                {"Error Message": f"Invalid API call. Please retry or visit ... for {function}."}
            )
        names, rows, zone = self._series(symbol, call)
        if call.fault is Fault.REORDERED:
            np.random.default_rng(1).shuffle(rows)
        if self._speaks_json or call.query.get("datatype") != "csv" or zone != "US/Eastern":
            return _as_json(call, names, rows, zone)
        return _as_csv(names, rows)

    def _refusal(self, call: PlayedCall) -> str | None:
        function = call.query["function"]
        if self._is_free and function != "TIME_SERIES_DAILY":
            return PREMIUM_ENDPOINT
        return PREMIUM_SIZE if self._is_free and call.query["outputsize"] == "full" else None

    def _series(self, symbol: str, call: PlayedCall) -> tuple[list[str], list[Row], str]:
        is_daily = "DAILY" in call.query["function"]
        frame = self._truth.bars[symbol, Timeframe.DAY_1 if is_daily else Timeframe.MINUTE_1]
        zone = "US/Eastern"
        if is_daily and call.query["outputsize"] == "compact":
            frame = frame.take(slice(-_NEWEST, None))
        if not is_daily:
            month = month_around(local_us(f"{call.query['month']}-02 00:00"), _NEW_YORK)
            frame = self._truth.within(symbol, Timeframe.MINUTE_1, month)
            zone = "UTC" if call.fault is Fault.OTHER_TIME_ZONE else zone
        rows = _rows(frame, None if is_daily else ZoneInfo(zone))
        hole = hole_us(frame.time_us, Timeframe.DAY_1 if is_daily else Timeframe.MINUTE_1)
        names = list(_NUMBERS)
        if call.query["function"] == "TIME_SERIES_DAILY_ADJUSTED":
            names, rows = _adjusted(rows, self._truth.actions[symbol])
        if call.fault is Fault.NAN_ROWS and hole is not None:
            known = {"volume": "0", "dividend_amount": "0.0000", "split_coefficient": "1.0"}
            extra = [known.get(name, "nan") for name in names]
            rows.append((_moment(hole, None if is_daily else ZoneInfo(zone)), extra))
        return names, rows, zone

    def _overview(self, symbol: str) -> Mapping[str, Any]:
        facts = self._truth.companies.get(symbol)
        if facts is None:
            return {}
        return {
            "Symbol": symbol,
            "AssetType": "Common Stock",
            "Name": facts.name,
            "Exchange": "NASDAQ",
            "Currency": facts.currency,
            "Sector": facts.sector,
            "Industry": facts.industry,
            "LatestQuarter": str(facts.as_of),
            "MarketCapitalization": f"{facts.market_cap:.0f}",
            "DividendPerShare": "None",
            "SharesOutstanding": f"{facts.shares_outstanding:.0f}",
        }


def _rows(frame: BarFrame, zone: ZoneInfo | None) -> list[Row]:
    prices = [getattr(frame, name).tolist() for name in _NUMBERS]
    # The newest first, as it answers them.
    return [
        (_moment(time_us, zone), [*(f"{price:.4f}" for price in row[:4]), f"{row[4]:.0f}"])
        for time_us, *row in reversed(list(zip(frame.time_us.tolist(), *prices, strict=True)))
    ]


def _moment(time_us: int, zone: ZoneInfo | None) -> str:
    if zone is None:
        return str(session_date(time_us))
    return f"{from_unix_us(time_us).astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _adjusted(rows: list[Row], actions: Sequence[CorporateAction]) -> tuple[list[str], list[Row]]:
    dividends = {str(action.ex_date): action.cash_amount for action in actions if action.cash_amount}
    splits = {str(action.ex_date): action.split_ratio for action in actions if action.split_ratio}
    names = ["open", "high", "low", "close", "adjusted_close", "volume"]
    names += ["dividend_amount", "split_coefficient"]
    # Half of the close: whoever takes it for the close finds out.
    return names, [
        (
            day,
            [
                *row[:4],
                f"{float(row[3]) / 2:.4f}",
                row[4],
                f"{dividends.get(day, 0):.4f}",
                f"{splits.get(day, 1):.4f}",
            ],
        )
        for day, row in rows
    ]


def _as_csv(names: list[str], rows: list[Row]) -> Reply:
    lines = [",".join(["timestamp", *names]), *(",".join([moment, *row]) for moment, row in rows)]
    return Reply(
        "".join(f"{line}\r\n" for line in lines).encode(), content_type="application/x-download"
    )


def _as_listings(truth: Truth, *, is_listed: bool) -> Reply:
    lines = ["symbol,name,exchange,assetType,ipoDate,delistingDate,status"]
    for one in truth.listings:
        if one.is_listed == is_listed:
            gone = "null" if is_listed else str(one.delisted_on)
            status = "Active" if is_listed else "Delisted"
            spelled = one.symbol.replace(".", "-")
            kind = "ETF" if "ETF" in one.name else "Stock"
            lines.append(
                f'{spelled},"{one.name}",{one.exchange},{kind},{one.listed_on},{gone},{status}'
            )
    body = "".join(f"{line}\r\n" for line in lines).encode()
    return Reply(body, content_type="application/x-download")


def _as_json(call: PlayedCall, names: list[str], rows: list[Row], zone: str) -> Reply:
    step = "Daily" if "DAILY" in call.query["function"] else call.query["interval"]
    labels = [f"{place}. {name.replace('_', ' ')}" for place, name in enumerate(names, 1)]
    return _json(
        {
            "Meta Data": {
                "1. Information": f"{step} prices",
                "2. Symbol": call.query["symbol"],
                "3. Last Refreshed": rows[0][0] if rows else "",
                "6. Time Zone": zone,
            },
            f"Time Series ({step})": {
                moment: dict(zip(labels, row, strict=True)) for moment, row in rows
            },
        }
    )


def _json(document: Mapping[str, Any]) -> Reply:
    return Reply(json.dumps(document, indent=4).encode())


def playing(
    *, calls_a_day: int | None, is_free: bool = False, speaks_json: bool = False
) -> Callable[[Circumstances], AbstractAsyncContextManager[Played]]:
    """Make what builds the adapter against its side."""

    @asynccontextmanager
    async def play(given: Circumstances) -> AsyncIterator[Played]:
        dialect = AlphaVantageDialect(given.truth, is_free=is_free, speaks_json=speaks_json)
        async with loopback(dialect, given.faults) as server:
            plan = Plan(calls_a_day, 60_000)
            provider = AlphaVantageProvider(KEY, plan, given.surroundings(), server.address)
            try:
                yield Played(provider, server)
            finally:
                await provider.aclose()

    return play


_FAULTS: Final = SERVER_FAULTS | {
    Fault.LIMIT_IN_200,
    Fault.REPEATED_PAGE,
    Fault.REORDERED,
    Fault.OTHER_TIME_ZONE,
    Fault.NAN_ROWS,
}
_COMPANY: Final = frozenset(
    {"name", "sector", "industry", "market_cap", "shares_outstanding", "currency"}
)
PREMIUM: Final = AdapterUnderTest(
    name=NAME,
    variant="premium_csv",
    play=playing(calls_a_day=None),
    faults=_FAULTS,
    secrets=(KEY,),
    spellings={"BRK.B": "BRK-B"},
    company_fields=_COMPANY,
)
COUNTED: Final = AdapterUnderTest(
    name=NAME,
    variant="counted_json",
    play=playing(calls_a_day=10_000, speaks_json=True),
    faults=_FAULTS,
    secrets=(KEY,),
    spellings={"BRK.B": "BRK-B"},
    company_fields=_COMPANY,
    has_daily_limit=True,
)
