"""Alpha Vantage's plans: what a free key gets, what it is told of the rest, and what calls it costs."""

from dataclasses import replace
from datetime import date

import pytest

from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange, session_label_us
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import ProviderAnswerError, ProviderKeyError, ProviderLimitError
from tests.support.providers.adapters import Circumstances, NotedQuota
from tests.support.providers.alpha_vantage.side import COUNTED, PREMIUM, playing
from tests.support.providers.asking import RANGES, ask, check_cover, check_truth, short
from tests.support.providers.faults import Fault, always, at_call
from tests.support.providers.truth import AAPL, NOW_US, truth
from tests.support.sessions import local_us

FREE = playing(calls_a_day=25, is_free=True)
NEWEST = TimeRange(session_label_us(date(2024, 11, 1)), NOW_US)


async def test_days_given_free_key_and_newest_sessions_are_the_truth_in_one_call() -> None:
    """A hundred sessions are what it has; they are asked for where they are enough."""
    given = Circumstances()
    async with FREE(given) as played:
        answer = await ask(played.provider, AAPL, Timeframe.DAY_1, NEWEST)
        check_cover(answer)
        check_truth(answer, truth(), COUNTED, "alpha_vantage/core")
        assert [page.actions for page in answer.pages] == [()]
        (call,) = played.side.calls
        assert (call.query["function"], call.query["outputsize"]) == ("TIME_SERIES_DAILY", "compact")
    assert len(given.quota.taken) == 1


@pytest.mark.parametrize(
    ("timeframe", "wanted"),
    [(Timeframe.DAY_1, RANGES[Timeframe.DAY_1]), (Timeframe.MINUTE_1, short(Timeframe.MINUTE_1))],
    ids=lambda value: getattr(value, "value", ""),
)
async def test_bars_given_free_key_and_more_say_which_plan_has_them(
    timeframe: Timeframe, wanted: TimeRange
) -> None:
    """Asked once and not again: a plan does not change while one waits."""
    async with FREE(Circumstances()) as played:
        with pytest.raises(ProviderKeyError, match="not in the free plan") as caught:
            await ask(played.provider, AAPL, timeframe, wanted)
        assert "https://www.alphavantage.co/premium/" in caught.value.message
        assert len(played.side.calls) == 1


async def test_actions_given_free_key_are_refused_without_a_call() -> None:
    """What the plan is known not to have costs none of its 25 calls."""
    async with FREE(Circumstances()) as played:
        with pytest.raises(ProviderKeyError, match="premium"):
            await played.provider.fetch_actions(AAPL, date(2024, 1, 1), date(2025, 1, 1))
        assert played.side.calls == []
        assert (await played.provider.fetch_company(AAPL)).name == "Apple Inc"


async def test_days_given_premium_key_bring_actions_along() -> None:
    """Dividends and splits of the range, with its bars, at no further call."""
    async with PREMIUM.play(Circumstances()) as played:
        wanted = TimeRange(session_label_us(date(2024, 3, 11)), session_label_us(date(2024, 9, 30)))
        answer = await ask(played.provider, AAPL, Timeframe.DAY_1, wanted)
        (page,) = answer.pages
        assert [replace(action, source="") for action in page.actions] == list(
            truth().actions["AAPL"][1:4]
        )
        assert len(played.side.calls) == 1


async def test_minutes_given_months_cost_a_call_each_and_none_before_the_listing() -> None:
    """A month is asked for once, by its name; one before the first session is known to be empty."""
    listed = replace(AAPL, ipo_date=date(2024, 3, 7))
    wanted = TimeRange(local_us("2024-01-20 00:00"), local_us("2024-04-02 00:00"))
    async with PREMIUM.play(Circumstances()) as played:
        answer = await ask(played.provider, listed, Timeframe.MINUTE_1, wanted)
        check_cover(answer)
        check_truth(answer, truth(), PREMIUM, "alpha_vantage/core")
        assert [call.query["month"] for call in played.side.calls] == ["2024-03", "2024-04"]
        for call in played.side.calls:
            assert call.query["adjusted"] == "false"
            assert call.query["extended_hours"] == "true"
            assert call.query["outputsize"] == "full"


async def test_minutes_given_symbol_of_another_zone_ask_for_json() -> None:
    """CSV names no zone: it is asked for only where the zone is known."""
    elsewhere: Symbol = replace(AAPL, time_zone="Europe/London")
    async with PREMIUM.play(Circumstances()) as played:
        for symbol, form in ((AAPL, "csv"), (elsewhere, "json")):
            await ask(played.provider, symbol, Timeframe.MINUTE_1, short(Timeframe.MINUTE_1))
            assert played.side.calls[-1].query["datatype"] == form


async def test_minutes_given_month_before_once_more_refuse_it() -> None:
    """CSV does not say which month it is of: the times of its bars do."""
    wanted = TimeRange(local_us("2024-10-31 00:00"), local_us("2024-11-07 00:00"))
    async with PREMIUM.play(Circumstances(faults=at_call(1, Fault.REPEATED_PAGE))) as played:
        answer = await ask(played.provider, AAPL, Timeframe.MINUTE_1, wanted)
        check_truth(answer, truth(), PREMIUM, "alpha_vantage/core")
        months = [call.query["month"] for call in played.side.calls]
        assert months == ["2024-10", "2024-11", "2024-11"]
    async with PREMIUM.play(Circumstances(faults=always(Fault.REPEATED_PAGE))) as played:
        with pytest.raises(ProviderAnswerError):
            await ask(played.provider, AAPL, Timeframe.MINUTE_1, wanted)


async def test_calls_given_used_up_quota_are_not_made() -> None:
    """The 26th call of a day is refused here, and never reaches the provider (rule 24)."""
    given = Circumstances(quota=NotedQuota())
    async with playing(calls_a_day=2, is_free=True)(given) as played:
        for _ in range(2):
            await ask(played.provider, AAPL, Timeframe.DAY_1, NEWEST)
        with pytest.raises(ProviderLimitError):
            await ask(played.provider, AAPL, Timeframe.DAY_1, NEWEST)
        assert len(played.side.calls) == 2
