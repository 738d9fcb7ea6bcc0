"""The example: the smallest adapter that keeps every requirement; a template for real ones."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Final

from marketdata.domain.bars import BarColumn
from marketdata.domain.company import CompanyFacts
from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.symbol import Symbol
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ProviderKeyError
from marketdata.providers.calendars import calendar_of
from marketdata.providers.frames import check_timeframe, have_ended, to_frame
from marketdata.providers.http.answer import HttpAnswer
from marketdata.providers.http.caller import ProviderCaller
from marketdata.providers.paging import TokenPaging
from marketdata.providers.protocol import BarsPage, BarsRequest, Capabilities, Limits
from tests.support.providers.example.parse import ExamplePage, parse_actions, parse_bars

NAME: Final = "example"
LIMITS: Final = Limits(calls_at_once=2, calls_a_day=10_000, bars_a_call=1_000)
_STEPS: Final[Mapping[Timeframe, str]] = {Timeframe.MINUTE_1: "minute", Timeframe.DAY_1: "day"}


class ExampleProvider:
    """Keeps `Provider` for a company that there is not.

    Parameters
    ----------
    caller : ProviderCaller
        Makes the calls.
    """

    def __init__(self, caller: ProviderCaller) -> None:
        self._caller = caller

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return Capabilities(
            name=NAME,
            title="Example Data",
            feeds=dict.fromkeys(_STEPS, "example/all"),
            history=dict.fromkeys(_STEPS),
            has_actions=True,
            has_company=False,
            settings=("MARKETDATA_EXAMPLE_KEY",),
            terms="There is no such company: https://example.com/terms",
        )

    @property
    def limits(self) -> Limits:
        """What it allows."""
        return LIMITS

    async def fetch_bars(self, request: BarsRequest) -> AsyncGenerator[BarsPage, None]:
        """Fetch bars, as many a page as the company answers."""
        check_timeframe(self.capabilities, request.timeframe)
        calendar = await calendar_of(request.symbol)
        paging = TokenPaging(request.timeframe, request.range)
        while not paging.is_complete:
            parameters = {
                "symbol": _spelled(request.symbol),
                "step": _STEPS[request.timeframe],
                "from": str(request.range.start_us),
                "to": str(request.range.end_us),
            }
            if paging.token is not None:
                parameters["page"] = paging.token
            page, asked_us = await self._caller.call("/bars", parameters, partial(_checked, paging))
            times = page.columns[BarColumn.TIME]
            is_final = have_ended(request.timeframe, times, calendar, asked_us)
            frame = to_frame(request.symbol.symbol, "example/all", page.columns, is_final)
            yield BarsPage(frame, paging.advance(times, page.token))

    async def fetch_actions(self, symbol: Symbol, start: date, end: date) -> Sequence[CorporateAction]:
        """Fetch the corporate actions with ex-dates in `[start, end)`, ascending."""
        parameters = {"symbol": _spelled(symbol)}
        actions = await self._caller.call("/actions", parameters, parse_actions)
        wanted = [action for action in actions if start <= action.ex_date < end]
        return sorted(wanted, key=lambda action: action.ex_date)

    async def fetch_company(self, symbol: Symbol) -> CompanyFacts:
        """Refuse: it tells nothing of companies."""
        raise ProviderKeyError(f"example tells nothing of companies, nor of {symbol.symbol}'s")

    async def aclose(self) -> None:
        """Close connections."""
        await self._caller.aclose()


def _checked(paging: TokenPaging, answer: HttpAnswer) -> tuple[ExamplePage, int]:
    page = parse_bars(answer)
    paging.check(page.columns[BarColumn.TIME], page.token)
    return page, answer.asked_us


def _spelled(symbol: Symbol) -> str:
    return symbol.provider_symbols.get(NAME, symbol.symbol.replace(".", "/"))
