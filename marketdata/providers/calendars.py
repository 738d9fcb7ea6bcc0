"""The exchange calendar of a symbol, for adapters: which session a bar belongs to."""

import asyncio

from marketdata.domain.calendar import SessionCalendar
from marketdata.domain.exchange_hours import UnknownCalendarError, get_calendar
from marketdata.domain.symbol import Symbol
from marketdata.errors import ProviderSymbolError


async def calendar_of(symbol: Symbol) -> SessionCalendar:
    """Get the calendar of a symbol; made in a thread the first time, which takes seconds.

    Raises
    ------
    ProviderSymbolError
        The symbol names a calendar that there is not.
    """
    try:
        return await asyncio.to_thread(get_calendar, symbol.calendar)
    except UnknownCalendarError as error:
        raise ProviderSymbolError(f"{symbol.symbol}: {error}") from None
