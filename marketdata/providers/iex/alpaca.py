"""Alpaca, for the prints of IEX: which calls make which pages."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Final
from urllib.parse import quote

from marketdata.domain.bars import BarColumn
from marketdata.domain.company import CompanyFacts
from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange, from_unix_us, session_date
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.errors import ProviderAnswerError, ProviderKeyError
from marketdata.providers.calendars import calendar_of
from marketdata.providers.frames import check_timeframe, have_ended, to_frame
from marketdata.providers.http.answer import HttpAnswer
from marketdata.providers.http.assembly import Access, Surroundings, make_caller
from marketdata.providers.iex.alpaca_parse import DAY_ZONE, AlpacaPage, parse_actions, parse_bars
from marketdata.providers.paging import TokenPaging
from marketdata.providers.protocol import BarsPage, BarsRequest, Capabilities, Limits

NAME: Final = "alpaca"
FEED: Final = "alpaca/iex"
KEY_SETTING: Final = "MARKETDATA_ALPACA_KEY_ID"
SECRET_SETTING: Final = "MARKETDATA_ALPACA_SECRET_KEY"  # noqa: S105 -- its name
#: What a call may ask for, and does.
BARS_A_CALL: Final = 10_000

# Its hours are cut at the clock: 09:00 in New York holds 30 minutes of pre-market and 30 of the
# session. An hour of ours begins at the open and never mixes the two, so there are no hours here; they
# are made of the minutes.
_STEPS: Final[Mapping[Timeframe, str]] = {Timeframe.MINUTE_1: "1Min", Timeframe.DAY_1: "1Day"}
# The listing can go by the day on which Alpaca processes an action, for a dividend the day on which it
# is paid: weeks after the ex-date.
_PROCESSED_WITHIN: Final = timedelta(days=180)
_KINDS: Final = "forward_split,reverse_split,cash_dividend"
_MOST_ACTIONS: Final = 1_000

CAPABILITIES: Final = Capabilities(
    name=NAME,
    title="Alpaca Market Data, feed iex",
    feeds=dict.fromkeys(_STEPS, FEED),
    history=dict.fromkeys(_STEPS),
    has_actions=True,
    has_company=False,
    settings=(KEY_SETTING, SECRET_SETTING),
    terms=(
        "For the own use of the account's holder; data must not be redistributed:"
        " https://alpaca.markets/support/redistribute-alpaca-api"
    ),
    # As it is asked here: see `asof`.
    has_old_tickers=True,
)


def limits_of(calls_a_minute: int) -> Limits:
    """Tell what a plan with so many calls a minute allows."""
    return Limits(calls_a_minute=calls_a_minute, calls_at_once=4, bars_a_call=BARS_A_CALL)


class AlpacaProvider:
    """Asks Alpaca.

    Volumes are those of one venue, a few percent of what is traded.

    Parameters
    ----------
    key_id, secret : str
        Of an account; a paper-trading one will do.
    calls_a_minute : int
        As the plan has it: 200 in the free one.
    surroundings : Surroundings
        What it works with.
    address : str
        Where it is: ``https://host``.
    """

    def __init__(
        self, key_id: str, secret: str, calls_a_minute: int, surroundings: Surroundings, address: str
    ) -> None:
        self._limits = limits_of(calls_a_minute)
        headers = {"APCA-API-KEY-ID": key_id, "APCA-API-SECRET-KEY": secret}
        access = Access(address, (key_id, secret), headers)
        self._caller = make_caller(NAME, access, self._limits, surroundings)

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return CAPABILITIES

    @property
    def limits(self) -> Limits:
        """What it allows."""
        return self._limits

    async def fetch_bars(self, request: BarsRequest) -> AsyncGenerator[BarsPage, None]:
        """Fetch bars, 10,000 a page."""
        check_timeframe(CAPABILITIES, request.timeframe)
        symbol, timeframe = request.symbol, request.timeframe
        calendar = await calendar_of(symbol)
        spelled = _spelled(symbol)
        start, end = _bounds(timeframe, request.range)
        parameters = {
            "timeframe": _STEPS[timeframe],
            "start": start,
            "end": end,
            "limit": str(BARS_A_CALL),
            "feed": "iex",
            "adjustment": "raw",
            "sort": "asc",
            # The bars that stand under this very ticker. By default Alpaca follows renames back from
            # today, and would give META's bars of before 2022 (when it was FB) under META; which ticker
            # was whose and when, `symbol_validity` knows.
            "asof": "-",
        }
        paging = TokenPaging(timeframe, request.range)
        parse = partial(_parse, paging=paging, symbol=spelled, timeframe=timeframe)
        while not paging.is_complete:
            more = {} if paging.token is None else {"page_token": paging.token}
            page, asked_us = await self._caller.call(
                f"/v2/stocks/{quote(spelled, safe='')}/bars", {**parameters, **more}, parse
            )
            times = page.columns[BarColumn.TIME]
            is_final = have_ended(timeframe, times, calendar, asked_us)
            frame = to_frame(symbol.symbol, FEED, page.columns, is_final)
            yield BarsPage(frame, paging.advance(times, page.token))

    async def fetch_actions(self, symbol: Symbol, start: date, end: date) -> Sequence[CorporateAction]:
        """Fetch the corporate actions with ex-dates in `[start, end)`, ascending."""
        spelled = _spelled(symbol)
        parameters = {
            "symbols": spelled,
            "types": _KINDS,
            "start": str(start),
            "end": str(end + _PROCESSED_WITHIN),
            "limit": str(_MOST_ACTIONS),
            "sort": "asc",
        }
        found: list[CorporateAction] = []
        tokens: set[str] = set()
        more: dict[str, str] = {}
        while True:
            actions, token = await self._caller.call(
                "/v1/corporate-actions",
                {**parameters, **more},
                partial(_parse_actions, symbol=spelled, seen=frozenset(tokens)),
            )
            found += actions
            if token is None:
                break
            tokens.add(token)
            more = {"page_token": token}
        wanted = [action for action in found if start <= action.ex_date < end]
        return sorted(wanted, key=lambda action: action.ex_date)

    async def fetch_company(self, symbol: Symbol) -> CompanyFacts:
        """Refuse: Alpaca tells nothing of companies."""
        raise ProviderKeyError(
            f"Alpaca has no facts of companies, nor {symbol.symbol}'s; ask alpha_vantage or yahoo"
        )

    async def aclose(self) -> None:
        """Close connections."""
        await self._caller.aclose()


def _parse(
    answer: HttpAnswer, paging: TokenPaging, symbol: str, timeframe: Timeframe
) -> tuple[AlpacaPage, int]:
    page = parse_bars(answer, symbol, timeframe)
    paging.check(page.columns[BarColumn.TIME], page.token)
    return page, answer.asked_us


def _parse_actions(
    answer: HttpAnswer, symbol: str, seen: frozenset[str]
) -> tuple[list[CorporateAction], str | None]:
    actions, token = parse_actions(answer, symbol)
    if token in seen:
        raise ProviderAnswerError("the answer leads back to a page of before")
    return actions, token


def _bounds(timeframe: Timeframe, wanted: TimeRange) -> tuple[str, str]:
    """Write a range as Alpaca wants it: RFC 3339, both ends inclusive."""
    if timeframe is not Timeframe.DAY_1:
        return _rfc3339(from_unix_us(wanted.start_us)), _rfc3339(from_unix_us(wanted.end_us - 1))
    # Labels: the first at or behind the start, the last before the end.
    first = session_date(-(-wanted.start_us // MICROSECONDS_PER_DAY) * MICROSECONDS_PER_DAY)
    last = session_date(wanted.end_us - 1)
    return _rfc3339(_midnight(first)), _rfc3339(_midnight(last))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=DAY_ZONE)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _spelled(symbol: Symbol) -> str:
    return symbol.provider_symbols.get(NAME, symbol.symbol)
