"""Tiingo's IEX endpoint: which calls make which pages."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from datetime import date
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from marketdata.domain.bars import BarColumn
from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.company import CompanyFacts
from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange, session_date
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.errors import ProviderKeyError, ProviderSymbolError
from marketdata.providers.calendars import calendar_of
from marketdata.providers.frames import check_timeframe, check_times, cut, have_ended, to_frame
from marketdata.providers.http.answer import HttpAnswer
from marketdata.providers.http.assembly import Access, Surroundings, make_caller
from marketdata.providers.iex.tiingo_parse import FIELDS, MOST_ROWS, parse_bars
from marketdata.providers.protocol import BarsPage, BarsRequest, Capabilities, Limits
from marketdata.providers.spelling import hyphenated

NAME: Final = "tiingo"
FEED: Final = "tiingo/iex"
TOKEN_SETTING: Final = "MARKETDATA_TIINGO_TOKEN"  # noqa: S105 -- its name
#: Tiingo counts by the hour, and says so itself when an hour's calls are used up.
LIMITS: Final = Limits(calls_at_once=4, bars_a_call=MOST_ROWS)

# IEX trades from 08:00 to 17:00 in New York, 540 minutes, so three days stay below what Tiingo answers
# at the most. Two are wanted; the third is asked for as well because the documentation does not say
# whether the end is inclusive.
_DAYS_A_CALL: Final = 2

_NO_BARS: Final = {BarColumn.TIME: np.empty(0, np.int64)}

CAPABILITIES: Final = Capabilities(
    name=NAME,
    title="Tiingo, IEX endpoint",
    # Its hours are cut at the clock, like Alpaca's.
    feeds={Timeframe.MINUTE_1: FEED},
    history={Timeframe.MINUTE_1: None},
    has_actions=False,
    has_company=False,
    settings=(TOKEN_SETTING,),
    terms=(
        "For internal use; passing data on needs a licence:"
        " https://www.tiingo.com/documentation/appendix/developers"
    ),
)


class TiingoProvider:
    """Asks Tiingo for the minutes of IEX; volumes are those of this one venue.

    Parameters
    ----------
    token : str
        Of an account.
    surroundings : Surroundings
        What it works with.
    address : str
        Where it is: ``https://host``.
    """

    def __init__(self, token: str, surroundings: Surroundings, address: str) -> None:
        access = Access(address, (token,), {"Authorization": f"Token {token}"})
        self._caller = make_caller(NAME, access, LIMITS, surroundings)

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return CAPABILITIES

    @property
    def limits(self) -> Limits:
        """What it allows."""
        return LIMITS

    async def fetch_bars(self, request: BarsRequest) -> AsyncGenerator[BarsPage, None]:
        """Fetch minutes, two days a page."""
        check_timeframe(CAPABILITIES, request.timeframe)
        symbol = request.symbol
        calendar = await calendar_of(symbol)
        for part in _by_days(request.range):
            if not _may_trade(part, calendar):
                # Nothing to ask for on a weekend, and calls an hour are few.
                yield BarsPage(to_frame(symbol.symbol, FEED, _NO_BARS, np.empty(0, np.bool_)), part)
                continue
            columns, asked_us = await self._call(symbol, part)
            _refuse_silence(symbol, part, columns[BarColumn.TIME], calendar, asked_us)
            is_final = have_ended(request.timeframe, columns[BarColumn.TIME], calendar, asked_us)
            frame = to_frame(symbol.symbol, FEED, columns, is_final)
            yield BarsPage(cut(frame, part), part)

    async def _call(
        self, symbol: Symbol, part: TimeRange
    ) -> tuple[dict[BarColumn, npt.NDArray[Any]], int]:
        spelled = hyphenated(symbol, NAME)
        first, end = session_date(part.start_us), session_date(part.end_us - 1 + MICROSECONDS_PER_DAY)
        parameters = {
            "startDate": str(first),
            "endDate": str(end),
            "resampleFreq": "1min",
            "afterHours": "true",
            # Filled minutes look like traded ones.
            "forceFill": "false",
            "columns": ",".join(FIELDS.values()),
        }
        day_us = part.start_us - part.start_us % MICROSECONDS_PER_DAY
        # Days may be those of UTC or of New York: either way they end within the day behind.
        asked = TimeRange(day_us, part.end_us + 3 * MICROSECONDS_PER_DAY)
        parse = partial(_parse, symbol=spelled, asked=asked)
        return await self._caller.call(f"/iex/{quote(spelled, safe='')}/prices", parameters, parse)

    async def fetch_actions(self, symbol: Symbol, start: date, end: date) -> Sequence[CorporateAction]:
        """Refuse: the IEX endpoint tells no corporate actions."""
        raise ProviderKeyError(
            f"Tiingo's IEX endpoint has no corporate actions ({symbol.symbol}, {start} to {end});"
            " ask alpaca, alpha_vantage or yahoo"
        )

    async def fetch_company(self, symbol: Symbol) -> CompanyFacts:
        """Refuse: the IEX endpoint tells nothing of companies."""
        raise ProviderKeyError(
            f"Tiingo's IEX endpoint has no facts of companies, nor {symbol.symbol}'s;"
            " ask alpha_vantage or yahoo"
        )

    async def aclose(self) -> None:
        """Close connections."""
        await self._caller.aclose()


def _parse(
    answer: HttpAnswer, symbol: str, asked: TimeRange
) -> tuple[dict[BarColumn, npt.NDArray[Any]], int]:
    columns = parse_bars(answer, symbol)
    check_times(columns[BarColumn.TIME], asked)
    return columns, answer.asked_us


def _by_days(wanted: TimeRange) -> Iterator[TimeRange]:
    """Cut a range at UTC midnights, every other one; ascending, without gap or overlap."""
    reached_us = wanted.start_us
    while reached_us < wanted.end_us:
        midnight_us = reached_us - reached_us % MICROSECONDS_PER_DAY
        end_us = min(midnight_us + _DAYS_A_CALL * MICROSECONDS_PER_DAY, wanted.end_us)
        yield TimeRange(reached_us, end_us)
        reached_us = end_us


def _may_trade(part: TimeRange, calendar: SessionCalendar) -> bool:
    """Whether any hours of a session, pre-market and after hours included, lie in a range."""
    before_end = calendar.extended_start_us < part.end_us
    return bool(np.any(before_end & (calendar.extended_end_us > part.start_us)))


def _refuse_silence(
    symbol: Symbol,
    part: TimeRange,
    time_us: npt.NDArray[np.int64],
    calendar: SessionCalendar,
    asked_us: int,
) -> None:
    """Refuse an answer without bars about a whole session.

    Tiingo answers an empty list to a symbol that it does not know, and to times further back than it
    goes, which are not documented. Neither must be taken for a session without trades.

    Raises
    ------
    ProviderSymbolError
        There is no bar, and a session began and ended within the range.
    """
    sessions = (calendar.open_us >= part.start_us) & (calendar.close_us <= min(part.end_us, asked_us))
    if len(time_us) or not sessions.any():
        return
    first = session_date(int(calendar.label_us[sessions][0]))
    raise ProviderSymbolError(
        f"Tiingo has no prints of {symbol.symbol} in the session of {first}: it does not know the"
        " symbol, or goes back less far; check the spelling, or ask for a later start"
    )
