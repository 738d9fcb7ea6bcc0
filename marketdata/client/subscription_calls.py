"""The call of BarsService that tells what changes."""

from collections.abc import Sequence

from bifrost.marketdata.v1.bar_subscription_pb2 import SubscribeBarsRequest

from marketdata.client.bar_reads import BarReads
from marketdata.client.bar_stream import BarStream
from marketdata.client.bar_subscription import BarSubscription, OnState, SubscriptionState
from marketdata.client.times import Moment, encode_moment
from marketdata.domain.calendar import SessionHours
from marketdata.domain.subscription import RangeChange, SlowReaderPolicy
from marketdata.domain.time_range import from_unix_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ServiceError
from marketdata.wire.bar_subscription import POLICY_TO_PROTO
from marketdata.wire.enums import TIMEFRAME_TO_PROTO


class BarSubscriptions(BarReads):
    """Bars followed."""

    def subscribe(
        self,
        symbols: str | Sequence[str],
        timeframes: Timeframe | str | Sequence[Timeframe | str],
        *,
        since: Moment | None = None,
        resume_token: str = "",
        slow_reader_policy: SlowReaderPolicy | str = SlowReaderPolicy.DISCONNECT,
        heartbeat_seconds: int = 0,
        on_state: OnState | None = None,
        timeout_seconds: float | None = None,
    ) -> BarSubscription:
        """Follow every change of bars, corporate actions and symbols, without a gap.

        Parameters
        ----------
        symbols : str or sequence of str
            1 to 5,000 tickers without repeats; or ``*``: all symbols.
        timeframes : Timeframe, str, or sequence of them
            Stored ones: ``1m``, ``1h``, ``1d``.
        since : datetime or date, optional
            First the stored bars from then on, then what changes, without a seam; not with ``*``.
            Default: what changes from now on.
        resume_token : str
            Of the last update that was worked on: everything behind it. `since` then says from where to
            begin anew where that cannot be told any more.
        slow_reader_policy : SlowReaderPolicy or str
            ``disconnect`` (and resume: nothing is lost) or ``conflate`` (the latest bars, marked).
        heartbeat_seconds : int
            Silence after which a `Heartbeat` comes, 1 to 300; 0: the service's default.
        on_state : callable, optional
            Told when the subscription has begun, is live, is interrupted, or was lost, with the error.
        timeout_seconds : float, optional
            Deadline of the whole. Default: none.

        Returns
        -------
        BarSubscription
            ``async for update in subscription``; resumed wherever its connection breaks.

        Raises
        ------
        ValueError
            A label that is none, or a datetime without a time zone.
        InvalidRequestError, NotSupportedError
            While it is read: the service refuses the request, with every violation.
        ServiceUnavailableError
            While it is read: the service could not be reached again and again.
        """
        start = encode_moment("since", since)
        request = SubscribeBarsRequest(
            symbols=[symbols] if isinstance(symbols, str) else symbols,
            timeframes=[TIMEFRAME_TO_PROTO[timeframe] for timeframe in _timeframes(timeframes)],
            slow_reader_policy=POLICY_TO_PROTO[SlowReaderPolicy(slow_reader_policy)],
            heartbeat_seconds=heartbeat_seconds,
        )
        if resume_token:
            request.resume_token = resume_token
        elif start is not None:
            request.start_time.CopyFrom(start)
        return BarSubscription(
            self._transport,
            request,
            self._attempts(timeout_seconds),
            timeout_seconds,
            self._read_range,
            on_state or _tell_nobody,
            start,
        )

    def _read_range(self, change: RangeChange, seq: int) -> BarStream:
        """Read a range as it was right behind the change that it is about."""
        return self.stream_bars(
            change.symbols,
            change.timeframe,
            from_unix_us(change.start_us),
            from_unix_us(change.end_us),
            session=SessionHours.ALL,
            as_of=seq,
        )


def _timeframes(given: Timeframe | str | Sequence[Timeframe | str]) -> list[Timeframe]:
    labels = [given] if isinstance(given, Timeframe | str) else given
    return [Timeframe(label) for label in labels]


def _tell_nobody(state: SubscriptionState, error: ServiceError | None) -> None:
    """Be told, and do nothing."""
