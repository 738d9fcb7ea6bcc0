"""Calls of a provider: in turn, counted before they are made, retried where that can help."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import stamina

from marketdata.errors import (
    ProviderAnswerError,
    ProviderError,
    ProviderKeyError,
    ProviderLimitError,
    ProviderUnavailableError,
)
from marketdata.providers.http.answer import HttpAnswer
from marketdata.providers.http.breaker import Breaker
from marketdata.providers.http.pace import Pace
from marketdata.providers.http.redaction import Redactor
from marketdata.providers.protocol import Quota, Waits

T = TypeVar("T")

# JSON and its rows take about 20 ms a megabyte: more of it would hold up every other call of the loop.
_PARSED_ON_THE_LOOP_BYTES: Final = 65_536

# A limit that does not say for how long is most often one of a minute: 4, 8 and 16 seconds instead of
# a half, one and two.
_LIMIT_FACTOR: Final = 8.0

_OK: Final = 200
_TOO_MANY: Final = 429
_REFUSED: Final = frozenset({401, 403})
_SERVER_FAILS: Final = 500


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a call is made anew.

    Attributes
    ----------
    attempts : int
        At most, the first included.
    first_wait_seconds : float
        Before the second attempt; doubled for each further one, and spread over its second half so
        that calls which failed together do not come back together.
    longest_wait_seconds : float
        What a call waits at most, whatever the provider asks for: a run can do something else
        meanwhile, and is told how long.
    """

    attempts: int = 4
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 65.0

    def wait_seconds(self, attempt: int) -> float:
        """Tell how long to wait after the attempt of that number, counted from 1."""
        longest = min(self.longest_wait_seconds, self.first_wait_seconds * 2.0 ** (attempt - 1))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret


@dataclass(frozen=True, slots=True)
class DailyQuota:
    """Who counts the calls of a day, and under which key.

    Attributes
    ----------
    quota : Quota
        Counts.
    key_id : str
        Stands for the key; see `redaction.key_id`.
    calls_a_day : int
        How many there are.
    """

    quota: Quota
    key_id: str
    calls_a_day: int


class Client(Protocol):
    """Makes one call: `HttpClient`, or what a library for one provider makes calls with."""

    async def get(self, path: str, parameters: Mapping[str, str]) -> HttpAnswer:
        """Ask once; parameters, result and errors as `HttpClient.get` has them."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class ProviderCaller:
    """Makes a provider's calls.

    Parameters
    ----------
    provider : str
        Its name.
    client : Client
        Makes one call; closed with this.
    pace : Pace
        Of the key.
    breaker : Breaker
        Of the host.
    waits : Waits
        Is told of pauses between attempts.
    patience : Patience
        How often to try.
    redactor : Redactor
        Takes the keys out of whatever the provider says.
    daily : DailyQuota, optional
        Where calls a day are limited.
    """

    def __init__(
        self,
        provider: str,
        client: Client,
        *,
        pace: Pace,
        breaker: Breaker,
        waits: Waits,
        patience: Patience,
        redactor: Redactor,
        daily: DailyQuota | None = None,
    ) -> None:
        self._provider = provider
        self._client = client
        self._pace = pace
        self._breaker = breaker
        self._waits = waits
        self._patience = patience
        self._redactor = redactor
        self._daily = daily

    async def call(
        self, path: str, parameters: Mapping[str, str], parse: Callable[[HttpAnswer], T]
    ) -> T:
        """Make a call, and make it anew while that can help.

        Parameters
        ----------
        path, parameters
            As `HttpClient.get` takes them.
        parse : callable
            Makes what is wanted of an answer, any but 401, 403, 429 and 5xx; pure, since large answers
            are parsed in a thread. Raises what `marketdata.errors` has for providers; its
            `ProviderAnswerError` is retried: answers break on the way.

        Raises
        ------
        ProviderError
            As `Provider` says.
        """
        attempt_number = 0

        def judge(error: Exception) -> bool | float:
            return self._judge(error, attempt_number)

        async for attempt in stamina.retry_context(
            on=judge, attempts=self._patience.attempts, timeout=None
        ):
            attempt_number = attempt.num
            with attempt:
                return await self._attempt(path, parameters, parse)
        raise RuntimeError("stamina ended without the outcome of an attempt")

    def _judge(self, error: Exception, attempt: int) -> bool | float:
        """Say how long to wait before the next attempt; False: there is to be none."""
        if not isinstance(error, (ProviderUnavailableError, ProviderLimitError, ProviderAnswerError)):
            return False
        if self._breaker.is_open:
            # A run can turn to other providers meanwhile.
            return False
        is_limit = isinstance(error, ProviderLimitError)
        wait = self._patience.wait_seconds(attempt) * (_LIMIT_FACTOR if is_limit else 1)
        if error.retry_after_seconds is not None:
            wait = max(wait, error.retry_after_seconds)
        if wait > self._patience.longest_wait_seconds:
            return False
        if attempt < self._patience.attempts:
            reason = "limit" if is_limit else "retry"
            self._waits.add(self._provider, reason, wait)
        return wait

    async def _attempt(
        self, path: str, parameters: Mapping[str, str], parse: Callable[[HttpAnswer], T]
    ) -> T:
        try:
            answer = await self._answer(path, parameters)
            if len(answer.body) < _PARSED_ON_THE_LOOP_BYTES:
                return parse(answer)
            return await asyncio.to_thread(parse, answer)
        except ProviderError as error:
            # Before stamina logs it: providers quote keys in their messages.
            message = self._redactor.redact(error.message)
            told = type(error)(message, retry_after_seconds=error.retry_after_seconds)
        # Outside of the except clause, so that nothing leads back to what was said.
        raise told

    async def _answer(self, path: str, parameters: Mapping[str, str]) -> HttpAnswer:
        async with self._pace.turn():
            # Behind the wait for a turn: meanwhile others may have found that it is down.
            self._breaker.check()
            await self._count()
            try:
                answer = await self._client.get(path, parameters)
                self._check_status(answer)
            except ProviderUnavailableError:
                self._breaker.note_failure()
                raise
            except ProviderError:
                self._breaker.note_answer()
                raise
            self._breaker.note_answer()
            return answer

    async def _count(self) -> None:
        if self._daily is not None:
            await self._daily.quota.take(self._provider, self._daily.key_id, self._daily.calls_a_day)

    def _check_status(self, answer: HttpAnswer) -> None:
        if answer.status >= _SERVER_FAILS:
            raise ProviderUnavailableError(
                f"{self._provider} answers HTTP {answer.status}",
                retry_after_seconds=answer.retry_after_seconds(),
            )
        if answer.status == _TOO_MANY:
            raise ProviderLimitError(
                f"{self._provider} answers HTTP 429: its limit of calls is used up",
                retry_after_seconds=answer.retry_after_seconds(),
            )
        if answer.status in _REFUSED:
            raise ProviderKeyError(
                f"{self._provider} refuses the key, or its plan does not include what was asked for"
                f" (HTTP {answer.status}); check the key and the plan"
            )

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()


def expect_ok(answer: HttpAnswer) -> HttpAnswer:
    """Pass an answer of status 200.

    Raises
    ------
    ProviderAnswerError
        It has another status.
    """
    if answer.status != _OK:
        raise ProviderAnswerError(f"the answer is HTTP {answer.status}, which is not documented")
    return answer
