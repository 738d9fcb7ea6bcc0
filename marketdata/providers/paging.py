"""Answers that come in pages, each with a token of the next one."""

from marketdata.domain.bars import Int64Array
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ProviderAnswerError
from marketdata.providers.frames import check_times


class TokenPaging:
    """Follows an answer from page to page: what each completes, and whether it is the right one.

    Parameters
    ----------
    timeframe : Timeframe
        Of the bars.
    wanted : TimeRange
        What was asked for.
    """

    def __init__(self, timeframe: Timeframe, wanted: TimeRange) -> None:
        self._timeframe = timeframe
        self._wanted = wanted
        self._reached_us = wanted.start_us
        self._tokens: set[str] = set()
        self.token: str | None = None
        self.is_complete = False

    def check(self, time_us: Int64Array, token: str | None) -> None:
        """Hold an answer to the page that was asked for; changes nothing, so that it can be retried.

        Parameters
        ----------
        time_us : int64[n]
            Opens of its bars, in any order.
        token : str or None
            Of the next page.

        Raises
        ------
        ProviderAnswerError
            It is a page of before, has bars that were not asked for, or leads back.
        """
        check_times(time_us, TimeRange(self._reached_us, self._wanted.end_us))
        if token is not None and token in self._tokens:
            raise ProviderAnswerError("the answer leads back to a page of before")

    def advance(self, time_us: Int64Array, token: str | None) -> TimeRange:
        """Go on behind a page that was checked.

        Returns
        -------
        TimeRange
            What the page completes: up to its last bar, or to the end where no other follows.
        """
        start_us = self._reached_us
        if token is None:
            self._reached_us = self._wanted.end_us
            self.is_complete = True
        else:
            self._tokens.add(token)
            if len(time_us):
                behind_us = int(time_us.max()) + self._timeframe.duration_us
                self._reached_us = min(behind_us, self._wanted.end_us)
        self.token = token
        return TimeRange(start_us, self._reached_us)
