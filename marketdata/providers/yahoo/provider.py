"""The provider `yahoo`."""

from collections.abc import AsyncGenerator, Iterator
from datetime import date, timedelta
from typing import Final
from urllib.parse import quote

from marketdata.clock import Clock
from marketdata.domain.bars import BarFrame
from marketdata.domain.company import CompanyFacts
from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange, session_label_us
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND, Timeframe
from marketdata.errors import ProviderSymbolError
from marketdata.providers.frames import check_timeframe
from marketdata.providers.http.answer import HttpAnswer
from marketdata.providers.http.caller import ProviderCaller
from marketdata.providers.protocol import BarsPage, BarsRequest, Capabilities, Limits
from marketdata.providers.yahoo.actions import to_actions
from marketdata.providers.yahoo.bars import FEED, ChartContext, splits_of, to_bars
from marketdata.providers.yahoo.chart import Chart, parse_chart
from marketdata.providers.yahoo.company import MODULES, parse_company
from marketdata.providers.yahoo.spelling import PROVIDER, our_currency, yahoo_spelling

# Yahoo refuses what begins a second before its 730 and 30 days, and time goes on while a call waits.
_MARGIN: Final = timedelta(days=1)
CAPABILITIES: Final = Capabilities(
    name=PROVIDER,
    title="Yahoo Finance (unofficial, through yfinance)",
    feeds=dict.fromkeys((Timeframe.MINUTE_1, Timeframe.HOUR_1, Timeframe.DAY_1), FEED),
    history={
        Timeframe.MINUTE_1: timedelta(days=30) - _MARGIN,
        Timeframe.HOUR_1: timedelta(days=730) - _MARGIN,
        Timeframe.DAY_1: None,
    },
    has_actions=True,
    has_company=True,
    settings=(),
    terms=(
        "Personal use only, and no passing on; there is no official API:"
        " https://legal.yahoo.com/us/en/yahoo/terms/otos/index.html"
    ),
)
# Yahoo says no limits. People report to be shut out for hours from some 2,000 calls an hour on: this is
# 1,800.
LIMITS: Final = Limits(calls_a_minute=30, calls_at_once=2)

_INTERVALS: Final = {Timeframe.MINUTE_1: "1m", Timeframe.HOUR_1: "1h", Timeframe.DAY_1: "1d"}
# What one call may ask for: of minutes a week.
_STEP_US: Final = {
    Timeframe.MINUTE_1: 7 * MICROSECONDS_PER_DAY,
    Timeframe.HOUR_1: 730 * MICROSECONDS_PER_DAY,
}


class YahooProvider:
    """Fetches from Yahoo Finance; see `Provider` for the methods and their errors.

    Daily bars take one call, whatever the range. Intraday bars take one a step (a week of minutes, all
    hours), and one more for the splits since, unless the only step reaches up to now.

    Parameters
    ----------
    caller : ProviderCaller
        Makes calls, with `YahooClient`.
    clock : Clock
        Tells until when there can be splits.
    """

    def __init__(self, caller: ProviderCaller, clock: Clock) -> None:
        self._caller = caller
        self._clock = clock

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return CAPABILITIES

    @property
    def limits(self) -> Limits:
        """What it allows: nobody knows; what is asked of it here."""
        return LIMITS

    async def fetch_bars(self, request: BarsRequest) -> AsyncGenerator[BarsPage]:
        """Fetch bars, page by page."""
        check_timeframe(self.capabilities, request.timeframe)
        now_us = self._clock.now_us()
        if request.range.start_us >= now_us:
            yield _empty_page(request, request.range)
            return
        if request.timeframe is Timeframe.DAY_1:
            yield await self._fetch_days(request, now_us)
            return
        steps = list(_steps(request.range, _STEP_US[request.timeframe]))
        events = None
        if len(steps) > 1 or steps[0].end_us < now_us:
            events = await self._fetch_chart(
                request.symbol, Timeframe.DAY_1, _day_before(request.range.start_us), now_us
            )
        for step in steps:
            yield await self._fetch_step(request, step, events, now_us)

    async def _fetch_days(self, request: BarsRequest, now_us: int) -> BarsPage:
        # East of Greenwich a session opens on the day before its label.
        start_us = _day_before(request.range.start_us)
        chart, asked_us = await self._fetch_chart(request.symbol, Timeframe.DAY_1, start_us, now_us)
        return self._page(request, request.range, (chart, asked_us), chart)

    async def _fetch_step(
        self, request: BarsRequest, step: TimeRange, events: tuple[Chart, int] | None, now_us: int
    ) -> BarsPage:
        if step.start_us >= now_us:
            return _empty_page(request, step)
        end_us = min(step.end_us, now_us)
        answer = await self._fetch_chart(request.symbol, request.timeframe, step.start_us, end_us)
        return self._page(request, step, answer, (events or answer)[0])

    def _page(
        self, request: BarsRequest, part: TimeRange, answer: tuple[Chart, int], events: Chart
    ) -> BarsPage:
        chart, asked_us = answer
        symbol = request.symbol
        context = ChartContext(symbol.symbol, request.timeframe, splits_of([chart, events]), asked_us)
        actions = to_actions(events, part, symbol.currency)
        return BarsPage(to_bars(chart, context, part), part, actions)

    async def fetch_actions(self, symbol: Symbol, start: date, end: date) -> list[CorporateAction]:
        """Fetch the corporate actions with ex-dates in `[start, end)`, ascending."""
        labels = TimeRange(session_label_us(start), session_label_us(end))
        now_us = self._clock.now_us()
        if labels.is_empty or labels.start_us >= now_us:
            return []
        chart, _ = await self._fetch_chart(
            symbol, Timeframe.DAY_1, _day_before(labels.start_us), now_us
        )
        return list(to_actions(chart, labels, symbol.currency))

    async def fetch_company(self, symbol: Symbol) -> CompanyFacts:
        """Fetch what is known of the company."""
        spelling = yahoo_spelling(symbol)
        return await self._caller.call(
            f"/v10/finance/quoteSummary/{quote(spelling, safe='')}",
            {"modules": ",".join(MODULES), "formatted": "false"},
            lambda answer: parse_company(answer.json(), spelling),
        )

    async def aclose(self) -> None:
        """Close connections."""
        await self._caller.aclose()

    async def _fetch_chart(
        self, symbol: Symbol, timeframe: Timeframe, start_us: int, end_us: int
    ) -> tuple[Chart, int]:
        """Fetch a chart, and when it was asked for."""
        spelling = yahoo_spelling(symbol)
        chart, asked_us = await self._caller.call(
            f"/v8/finance/chart/{quote(spelling, safe='')}",
            {
                "period1": str(start_us // MICROSECONDS_PER_SECOND),
                "period2": str(-(-end_us // MICROSECONDS_PER_SECOND)),
                "interval": _INTERVALS[timeframe],
                "includePrePost": "true" if timeframe is Timeframe.MINUTE_1 else "false",
                "events": "div,splits",
            },
            lambda answer: _read_chart(answer, spelling),
        )
        _check_currency(chart, symbol, spelling)
        return chart, asked_us


def _read_chart(answer: HttpAnswer, spelling: str) -> tuple[Chart, int]:
    return parse_chart(answer.json(), spelling), answer.asked_us


def _check_currency(chart: Chart, symbol: Symbol, spelling: str) -> None:
    quoted = our_currency(chart.currency)
    if quoted and quoted != symbol.currency:
        raise ProviderSymbolError(
            f"Yahoo's {spelling} is quoted in {quoted} and {symbol.symbol} in {symbol.currency}: either"
            " it is another one, then give the spelling in provider_symbols under yahoo, or the"
            " symbol's currency is wrong"
        )


def _empty_page(request: BarsRequest, part: TimeRange) -> BarsPage:
    return BarsPage(BarFrame.empty((request.symbol.symbol,)), part)


def _day_before(time_us: int) -> int:
    return time_us - MICROSECONDS_PER_DAY


def _steps(time_range: TimeRange, step_us: int) -> Iterator[TimeRange]:
    for start_us in range(time_range.start_us, time_range.end_us, step_us):
        yield TimeRange(start_us, min(start_us + step_us, time_range.end_us))
