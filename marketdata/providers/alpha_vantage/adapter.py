"""Alpha Vantage: which calls make which pages."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Final

import numpy as np

from marketdata.domain.bars import BarColumn
from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.company import CompanyFacts
from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.listing import Listing
from marketdata.domain.symbol import AssetClass, Symbol
from marketdata.domain.time_range import TimeRange, from_unix_us, session_label_us
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.errors import ProviderAnswerError, ProviderKeyError
from marketdata.providers.alpha_vantage.listings import parse_listings
from marketdata.providers.alpha_vantage.messages import PREMIUM_PAGE
from marketdata.providers.alpha_vantage.overview import parse_overview
from marketdata.providers.alpha_vantage.parse import CSV_ZONE, NO_BARS, Series, parse_series
from marketdata.providers.alpha_vantage.plan import FEED, NAME, Plan
from marketdata.providers.calendars import calendar_of
from marketdata.providers.frames import check_timeframe, check_times, cut, have_ended, to_frame
from marketdata.providers.http.answer import HttpAnswer
from marketdata.providers.http.assembly import Access, Surroundings, make_caller
from marketdata.providers.months import by_months, month_around, month_name
from marketdata.providers.protocol import BarsPage, BarsRequest, Capabilities, Limits
from marketdata.providers.spelling import hyphenated, is_american

_PATH: Final = "/query"
# What `outputsize=compact` answers of days, and fewer sessions by a few that make sure of it.
_COMPACT_BARS: Final = 100
_COMPACT_SESSIONS: Final = 95
# "20+ years of historical data since 2000-01".
_FIRST_MINUTES: Final = date(2000, 1, 1)


class AlphaVantageProvider:
    """Asks Alpha Vantage.

    Parameters
    ----------
    key : str
        The API key.
    plan : Plan
        Of the key.
    surroundings : Surroundings
        What it works with.
    address : str
        Where it is: ``https://host``.
    """

    def __init__(
        self,
        key: str,
        plan: Plan,
        surroundings: Surroundings,
        address: str,
    ) -> None:
        self._plan = plan
        self._caller = make_caller(NAME, Access(address, (key,)), plan.limits, surroundings)
        self._parameters: Mapping[str, str] = _Hidden({"apikey": key})
        self._clock = surroundings.clock

    @property
    def capabilities(self) -> Capabilities:
        """What it can do with this key's plan."""
        return self._plan.capabilities

    @property
    def limits(self) -> Limits:
        """What it allows with this key's plan."""
        return self._plan.limits

    async def fetch_bars(self, request: BarsRequest) -> AsyncGenerator[BarsPage, None]:
        """Fetch bars: minutes a page a month, days in one page."""
        check_timeframe(self.capabilities, request.timeframe)
        calendar = await calendar_of(request.symbol)
        if request.timeframe is Timeframe.DAY_1:
            yield await self._days(request, calendar)
            return
        for part in by_months(request.range, CSV_ZONE):
            if _is_before_first(request.symbol, part):
                # Asked for, it would be refused like an unknown symbol, and a call of few be lost.
                yield _page(request.symbol, request.timeframe, part, NO_BARS, calendar, part.end_us)
            else:
                yield await self._minutes(request.symbol, part, calendar)

    async def _minutes(self, symbol: Symbol, wanted: TimeRange, calendar: SessionCalendar) -> BarsPage:
        spelled = hyphenated(symbol, NAME)
        parameters = {
            "function": "TIME_SERIES_INTRADAY",
            "symbol": spelled,
            "interval": "1min",
            "month": month_name(wanted.start_us, CSV_ZONE),
            "extended_hours": "true",
            "adjusted": "false",
            "outputsize": "full",
            # CSV names no time zone: only where there is no doubt.
            "datatype": "csv" if symbol.time_zone == CSV_ZONE.key else "json",
        }
        month = month_around(wanted.start_us, CSV_ZONE)
        parse = partial(_parse, symbol=spelled, is_daily=False, asked=month)
        series, asked_us = await self._caller.call(_PATH, {**parameters, **self._parameters}, parse)
        return _page(symbol, Timeframe.MINUTE_1, wanted, series, calendar, asked_us)

    async def _days(self, request: BarsRequest, calendar: SessionCalendar) -> BarsPage:
        series, asked_us = await self._daily(request.symbol, request.range.start_us, calendar)
        return _page(request.symbol, request.timeframe, request.range, series, calendar, asked_us)

    async def _daily(
        self, symbol: Symbol, start_us: int, calendar: SessionCalendar
    ) -> tuple[Series, int]:
        """Fetch days from `start_us` on: the newest hundred where these reach back so far, else all."""
        since = TimeRange(start_us, max(start_us, self._clock.now_us() + MICROSECONDS_PER_DAY))
        sessions = calendar.session_rows_in(since)
        if sessions.stop - sessions.start <= _COMPACT_SESSIONS:
            series, asked_us = await self._daily_call(symbol, "compact")
            is_whole = len(series.time_us) < _COMPACT_BARS
            if is_whole or int(series.time_us.min()) <= start_us:
                return series, asked_us
        return await self._daily_call(symbol, "full")

    async def _daily_call(self, symbol: Symbol, size: str) -> tuple[Series, int]:
        spelled = hyphenated(symbol, NAME)
        parameters = {
            "function": "TIME_SERIES_DAILY_ADJUSTED" if self._plan.is_premium else "TIME_SERIES_DAILY",
            "symbol": spelled,
            "outputsize": size,
            "datatype": "csv",
        }
        parse = partial(_parse, symbol=spelled, is_daily=True, asked=None)
        return await self._caller.call(_PATH, {**parameters, **self._parameters}, parse)

    async def fetch_actions(self, symbol: Symbol, start: date, end: date) -> Sequence[CorporateAction]:
        """Fetch the corporate actions with ex-dates in `[start, end)`, ascending.

        They are columns of its days. A day on which nothing was traded has none; it then stands in
        no series of Alpha Vantage.
        """
        if not self._plan.is_premium:
            raise ProviderKeyError(
                "dividends and splits are not in Alpha Vantage's free plan but in the premium plans"
                f" ({PREMIUM_PAGE}); with such a key set MARKETDATA_ALPHA_VANTAGE_CALLS_A_DAY=0"
            )
        calendar = await calendar_of(symbol)
        series, _ = await self._daily(symbol, session_label_us(start), calendar)
        return [action for action in series.actions() if start <= action.ex_date < end]

    async def fetch_company(self, symbol: Symbol) -> CompanyFacts:
        """Fetch what is known of the company."""
        spelled = hyphenated(symbol, NAME)
        parameters = {"function": "OVERVIEW", "symbol": spelled, **self._parameters}
        return await self._caller.call(_PATH, parameters, partial(parse_overview, symbol=spelled))

    async def fetch_listings(self, symbols: Sequence[Symbol]) -> dict[int, list[Listing]]:
        """Fetch what is stated of American stocks and funds, by symbol_id, in two calls for all."""
        asked = [symbol for symbol in symbols if is_american(symbol) and _is_share(symbol)]
        spelled = {symbol.symbol_id: hyphenated(symbol, NAME) for symbol in asked}
        if not spelled:
            return {}
        wanted = frozenset(spelled.values())
        stated: list[Listing] = []
        for state, is_listed in (("active", True), ("delisted", False)):
            parameters = {"function": "LISTING_STATUS", "state": state, **self._parameters}
            parse = partial(parse_listings, wanted=wanted, is_listed=is_listed)
            stated += await self._caller.call(_PATH, parameters, parse)
        by_spelling = {text: [one for one in stated if one.symbol == text] for text in wanted}
        return {key: by_spelling[text] for key, text in spelled.items() if by_spelling[text]}

    async def aclose(self) -> None:
        """Close connections."""
        await self._caller.aclose()


def _is_share(symbol: Symbol) -> bool:
    return symbol.asset_class in (AssetClass.EQUITY, AssetClass.ETF)


class _Hidden(dict[str, str]):
    """Parameters that show in no representation."""

    def __repr__(self) -> str:
        return "{...}"


def _parse(
    answer: HttpAnswer, symbol: str, *, is_daily: bool, asked: TimeRange | None
) -> tuple[Series, int]:
    series = parse_series(answer, symbol, is_daily=is_daily)
    if is_daily and np.any(series.time_us % MICROSECONDS_PER_DAY):
        raise ProviderAnswerError("the answer has times of day, and was asked for days")
    check_times(
        series.time_us, asked or TimeRange(Timeframe.DAY_1.earliest_us, Timeframe.DAY_1.latest_us)
    )
    return series, answer.asked_us


def _page(
    symbol: Symbol,
    timeframe: Timeframe,
    wanted: TimeRange,
    series: Series,
    calendar: SessionCalendar,
    asked_us: int,
) -> BarsPage:
    is_final = have_ended(timeframe, series.columns[BarColumn.TIME], calendar, asked_us)
    frame = cut(to_frame(symbol.symbol, FEED, series.columns, is_final), wanted)
    actions = [
        action
        for action in series.actions()
        if wanted.start_us <= session_label_us(action.ex_date) < wanted.end_us
    ]
    return BarsPage(frame, wanted, tuple(actions))


def _is_before_first(symbol: Symbol, part: TimeRange) -> bool:
    first = max(_FIRST_MINUTES, symbol.ipo_date or _FIRST_MINUTES)
    return from_unix_us(part.end_us - 1).astimezone(CSV_ZONE).date() < first
