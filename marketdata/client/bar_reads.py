"""The calls of BarsService that read."""

from collections.abc import Iterable, Sequence
from typing import Final

from bifrost.marketdata.v1 import bars_service_pb2 as messages

from marketdata.client import methods
from marketdata.client.answers import (
    Bar,
    BarPage,
    LatestBar,
    TimeframeStatistics,
)
from marketdata.client.bar_messages import (
    BarsAsked,
    from_bar,
    from_gap,
    from_latest,
    from_page,
    from_sessions,
    from_statistics,
    list_bars_request,
    ordered_columns,
    stream_bars_request,
)
from marketdata.client.bar_stream import BarStream
from marketdata.client.bars import Bars
from marketdata.client.caller import Caller
from marketdata.client.collecting import joined
from marketdata.client.coverage_answers import Coverage, CoverageGap
from marketdata.client.retry import Attempts
from marketdata.client.times import AsOfPoint, Moment, decode_moment, encode_as_of, encode_moment
from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bar_order import BarOrder
from marketdata.domain.bars import ALL_COLUMNS, BarColumn
from marketdata.domain.calendar import SessionHours
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ServiceUnavailableError
from marketdata.wire.enums import TIMEFRAME_TO_PROTO

# Whole reads of adjusted bars that were interrupted while the stored ones changed.
_MOST_WHOLE_READS: Final = 3
_GAPS_PAGE_SIZE: Final = 1_000


class BarReads(Caller):
    """Bars read, as columns or rows."""

    async def bars(
        self,
        symbols: str | Sequence[str],
        timeframe: Timeframe | str,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        adjustment: Adjustment | str = Adjustment.RAW,
        session: SessionHours | str = SessionHours.REGULAR,
        limit: int | None = None,
        columns: Iterable[BarColumn | str] = ALL_COLUMNS,
        order: BarOrder | str = BarOrder.SYMBOL_TIME,
        as_of: AsOfPoint | None = None,
        timeout_seconds: float | None = None,
    ) -> Bars:
        """Read bars as columns, all at once.

        Parameters
        ----------
        symbols : str or sequence of str
            A ticker, or 1 to 5,000. Unknown ones among several are left out and listed in
            ``applied.unresolved_symbols``.
        timeframe : Timeframe or str
            What each bar covers: ``1m``, ``5m``, ``15m``, ``1h`` or ``1d``.
        start, end : datetime or date, optional
            Half-open ``[start, end)``; datetimes are aware, a date is its 00:00:00 UTC. Default: all
            that is stored, up to now.
        adjustment : Adjustment or str
            What to take out of the prices: ``raw``, ``split``, ``dividend`` or ``all``.
        session : SessionHours or str
            Which part of the trading day: ``regular``, ``extended`` or ``all``.
        limit : int, optional
            Only the last so many bars of the range of each symbol.
        columns : iterable of BarColumn or str
            What to read; times always come.
        order : BarOrder or str
            ``symbol_time`` (symbols as given, times ascending within each), ``time_symbol``, and both
            with ``_descending`` behind it.
        as_of : int, datetime or date, optional
            A seq or moment whose knowledge is asked for: the bars, corporate actions and tickers that
            the service had committed by then. Default: now.
        timeout_seconds : float, optional
            Deadline of the whole. Default: the client's.

        Returns
        -------
        Bars
            The columns, and what was applied. Adjusted bars are always of one snapshot.

        Raises
        ------
        SymbolNotFoundError
            None of the symbols is known.
        InvalidRequestError
            The service refuses the request: with every violation.
        AsOfTooEarlyError, AsOfAheadError, BarsDroppedError
            The point in time cannot be answered; the message says what can.
        ServiceUnavailableError
            The service could not be reached, and not again either.
        ValueError
            A label that is none, or a datetime without a time zone.
        """
        asked = BarsAsked.parse(timeframe, start, end, adjustment, session, order, as_of)
        attempts = self._attempts(self._seconds(timeout_seconds))
        wanted = ordered_columns(columns)
        tickers = (symbols,) if isinstance(symbols, str) else tuple(symbols)
        for _ in range(_MOST_WHOLE_READS):
            async with self._stream(tickers, asked, wanted, limit, attempts, copy=False) as stream:
                frames = [frame async for frame in stream]
            applied = stream.applied
            # Actions that came in between would make two bases of one series.
            if applied and (applied.snapshots == 1 or asked.adjustment is Adjustment.RAW):
                frame = joined(frames, tickers)
                return Bars(frame, applied, wanted, has_symbols=not isinstance(symbols, str))
        raise ServiceUnavailableError(
            "the read was interrupted again and again while bars changed; send it once more"
        )

    def stream_bars(
        self,
        symbols: str | Sequence[str],
        timeframe: Timeframe | str,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        adjustment: Adjustment | str = Adjustment.RAW,
        session: SessionHours | str = SessionHours.REGULAR,
        limit: int | None = None,
        columns: Iterable[BarColumn | str] = ALL_COLUMNS,
        order: BarOrder | str = BarOrder.SYMBOL_TIME,
        as_of: AsOfPoint | None = None,
        timeout_seconds: float | None = None,
    ) -> BarStream:
        """Read bars as columns, a frame at a time, in bounded memory.

        Parameters
        ----------
        symbols, timeframe, start, end, adjustment, session, limit, columns, order, as_of
            As `bars`.
        timeout_seconds : float, optional
            Deadline of the whole, the caller's own work between frames included. Default: none, but an
            attempt that brings nothing ends (`RetryPolicy.attempt_seconds`).

        Returns
        -------
        BarStream
            ``async for frame in stream``: frames of some 16,000 bars, each with dictionaries of its
            own. ``stream.applied`` says what was applied, and from how many snapshots it was read: the
            rest behind an interruption is read from a new one.

        Raises
        ------
        ValueError
            A label that is none, or a datetime without a time zone. The errors of `bars` are raised
            while the stream is read.
        """
        asked = BarsAsked.parse(timeframe, start, end, adjustment, session, order, as_of)
        tickers = (symbols,) if isinstance(symbols, str) else tuple(symbols)
        attempts = self._attempts(timeout_seconds)
        return self._stream(tickers, asked, ordered_columns(columns), limit, attempts, copy=True)

    async def get_latest_bar(
        self,
        symbol: str,
        timeframe: Timeframe | str | None = None,
        *,
        as_of: AsOfPoint | None = None,
        timeout_seconds: float | None = None,
    ) -> Bar:
        """Get the newest final bar of a symbol, raw.

        Parameters
        ----------
        timeframe : Timeframe or str, optional
            Default: the finest that is stored of the symbol; the bar says which that is.
        as_of : int, datetime or date, optional
            As `bars`.

        Raises
        ------
        SymbolNotFoundError, BarNotFoundError
            The ticker never named anything; the symbol has no such bar.
        """
        request = messages.GetLatestBarRequest(symbol=symbol, as_of=encode_as_of(as_of))
        if timeframe is not None:
            request.timeframe = TIMEFRAME_TO_PROTO[Timeframe(timeframe)]
        response = await self._call(methods.GET_LATEST_BAR, request, timeout_seconds)
        return from_bar(response.bar)

    async def get_latest_bars(
        self,
        symbols: Sequence[str],
        timeframe: Timeframe | str | None = None,
        *,
        as_of: AsOfPoint | None = None,
        timeout_seconds: float | None = None,
    ) -> list[LatestBar]:
        """Get the newest final bar of each of 1 to 5,000 symbols, in their order.

        Symbols that are unknown or have no bar do not make it fail: each entry says so.
        """
        request = messages.BatchGetLatestBarsRequest(symbols=symbols, as_of=encode_as_of(as_of))
        if timeframe is not None:
            request.timeframe = TIMEFRAME_TO_PROTO[Timeframe(timeframe)]
        response = await self._call(methods.BATCH_GET_LATEST_BARS, request, timeout_seconds)
        return [from_latest(entry) for entry in response.latest_bars]

    async def list_bars(
        self,
        symbol: str,
        timeframe: Timeframe | str,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        adjustment: Adjustment | str = Adjustment.RAW,
        session: SessionHours | str = SessionHours.REGULAR,
        order: BarOrder | str = BarOrder.SYMBOL_TIME,
        as_of: AsOfPoint | None = None,
        page_size: int = 100,
        page_token: str = "",
        timeout_seconds: float | None = None,
    ) -> BarPage:
        """Get a page of bars as rows: the readable form. `bars` is the fast one.

        Parameters
        ----------
        start, end, adjustment, session, order, as_of
            As `bars`; one symbol has no order by time first.
        page_size : int
            Most bars, at most 1,000.
        page_token : str
            ``next_page_token`` of the page before, whose other parameters must be the same.

        Raises
        ------
        SymbolNotFoundError
            The ticker never named anything.
        InvalidRequestError
            With every violation.
        """
        asked = BarsAsked.parse(timeframe, start, end, adjustment, session, order, as_of)
        request = list_bars_request(symbol, asked, page_size, page_token)
        return from_page(await self._call(methods.LIST_BARS, request, timeout_seconds))

    async def get_bar_coverage(
        self,
        symbol: str,
        timeframe: Timeframe | str,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        include_sessions: bool = False,
        as_of: AsOfPoint | None = None,
        timeout_seconds: float | None = None,
    ) -> Coverage:
        """Tell which bars of a symbol are there, and all that are missing by its calendar.

        Parameters
        ----------
        start, end : datetime or date, optional
            Half-open ``[start, end)``. Default: from the first stored bar to behind the last one.
        include_sessions : bool
            Whether to count session by session as well.
        as_of : int, datetime or date, optional
            As `bars`.
        timeout_seconds : float, optional
            Deadline of each page of gaps.

        Raises
        ------
        SymbolNotFoundError
            The ticker never named anything.
        """
        request = messages.GetBarCoverageRequest(
            symbol=symbol,
            timeframe=TIMEFRAME_TO_PROTO[Timeframe(timeframe)],
            start_time=encode_moment("start", start),
            end_time=encode_moment("end", end),
            page_size=_GAPS_PAGE_SIZE,
            include_sessions=include_sessions,
            as_of=encode_as_of(as_of),
        )
        gaps: list[CoverageGap] = []
        sessions = None
        while True:
            page = await self._call(methods.GET_BAR_COVERAGE, request, timeout_seconds)
            if page.HasField("sessions"):
                sessions = from_sessions(page.sessions)
            gaps += (from_gap(gap) for gap in page.gaps)
            request.page_token = page.next_page_token
            if not request.page_token:
                break
        return Coverage(
            first=decode_moment(page.first_time) if page.HasField("first_time") else None,
            last=decode_moment(page.last_time) if page.HasField("last_time") else None,
            count=page.count,
            expected_count=page.expected_count,
            gaps=tuple(gaps),
            sessions=sessions,
            quarantined_count=page.quarantined_count,
        )

    async def get_bar_statistics(
        self, symbol: str | None = None, *, timeout_seconds: float | None = None
    ) -> list[TimeframeStatistics]:
        """Count what is stored, a line a timeframe that has bars; of one symbol or of all.

        Raises
        ------
        SymbolNotFoundError
            The ticker never named anything.
        """
        request = messages.GetBarStatisticsRequest(symbol=symbol or "")
        response = await self._call(methods.GET_BAR_STATISTICS, request, timeout_seconds)
        return [from_statistics(line) for line in response.timeframes]

    def _stream(
        self,
        tickers: tuple[str, ...],
        asked: BarsAsked,
        columns: tuple[BarColumn, ...],
        limit: int | None,
        attempts: Attempts,
        *,
        copy: bool,
    ) -> BarStream:
        request = stream_bars_request(tickers, asked, columns, limit)
        return BarStream(self._transport, request, asked.order, attempts, copy=copy)
