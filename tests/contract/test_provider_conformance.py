"""What every adapter has to do: the numbered requirements of docs/providers.md, one after the other.

An adapter is registered in `tests/support/providers/registered.py`. Each test names the requirements
that it holds it to.
"""

import asyncio
import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from urllib.parse import quote, quote_plus

import pytest

from marketdata.domain.bars import BarFlag
from marketdata.domain.company import CompanyFacts
from marketdata.domain.listing import Listing
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.errors import ProviderError, ProviderKeyError, ProviderLimitError, ProviderSymbolError
from marketdata.providers.http.client import CallBounds
from marketdata.providers.protocol import TellsListings
from tests.support.providers.adapters import AdapterUnderTest, Circumstances, NotedQuota
from tests.support.providers.asking import (
    LATEST,
    RANGES,
    WEEKEND,
    ask,
    check_cover,
    check_truth,
    is_true,
    outcome,
    short,
    timeframes,
    tried,
)
from tests.support.providers.faults import FATES, PASSING, Fault, always, at_call, at_random
from tests.support.providers.registered import ADAPTERS
from tests.support.providers.truth import AAPL, BERKSHIRE, META, TWITTER, UNKNOWN, truth
from tests.support.waiting import until

MOST_BARS_A_PAGE = 50_000
WEEK = RANGES[Timeframe.HOUR_1]
MONTH_US = 31 * MICROSECONDS_PER_DAY
EVERY = pytest.mark.parametrize("adapter", ADAPTERS, ids=str)


def those(applies: Callable[[AdapterUnderTest], bool]) -> pytest.MarkDecorator:
    """Try the adapters that a requirement applies to."""
    return pytest.mark.parametrize("adapter", list(filter(applies, ADAPTERS)), ids=str)


def with_faults(*others: None) -> pytest.MarkDecorator:
    """Try each adapter with each fault that its side can play, and with none where `others` has it."""
    pairs = [
        pytest.param(adapter, fault, id=f"{adapter}-{fault.name if fault else 'no_fault'}")
        for adapter in ADAPTERS
        for fault in (*others, *(fault for fault in Fault if fault in adapter.faults))
    ]
    return pytest.mark.parametrize(("adapter", "fault"), pairs)


@EVERY
async def test_capabilities_given_adapter_are_complete(adapter: AdapterUnderTest) -> None:
    """C01: its name, feeds, history, settings and terms are those that registries and people need."""
    async with tried(adapter) as played:
        can = played.provider.capabilities
        assert can.name == adapter.name
        assert can.title
        assert can.terms
        assert ("https://" in can.terms) == adapter.has_terms_page
        assert can.feeds
        assert can.feeds.keys() == can.history.keys()
        assert all(timeframe.is_stored for timeframe in can.feeds)
        assert all(feed.count("/") == 1 for feed in can.feeds.values())
        assert all(name.startswith("MARKETDATA_") for name in can.settings)
        limits = played.provider.limits
        assert limits.calls_at_once >= 1
        assert (limits.calls_a_day is not None) == adapter.has_daily_limit


@EVERY
@pytest.mark.parametrize("symbol", [AAPL, BERKSHIRE], ids=lambda symbol: symbol.symbol)
async def test_bars_given_long_range_are_the_truth_in_pages(
    adapter: AdapterUnderTest, symbol: Symbol
) -> None:
    """C02 to C07: pages cover the range; bars are raw, labelled by their open (rules 1, 2, 5 and 9)."""
    async with tried(adapter) as played:
        for timeframe in timeframes(played):
            answer = await ask(played.provider, symbol, timeframe, RANGES[timeframe])
            check_cover(answer)
            check_truth(answer, truth(), adapter, played.provider.capabilities.feeds[timeframe])
            assert len(answer.frame)
            assert max(len(page.frame) for page in answer.pages) <= MOST_BARS_A_PAGE


@EVERY
async def test_bars_given_bounds_on_bars_start_inclusive_end_exclusive(
    adapter: AdapterUnderTest,
) -> None:
    """C03: a bar that opens at the start is in the answer, one that opens at the end is not."""
    async with tried(adapter) as played:
        for timeframe in timeframes(played):
            times = truth().within("AAPL", timeframe, short(timeframe)).time_us
            wanted = TimeRange(int(times[3]), int(times[9]))
            answer = await ask(played.provider, AAPL, timeframe, wanted)
            check_cover(answer)
            assert answer.frame.time_us.tolist() == times[3:9].tolist()


@EVERY
async def test_bars_given_open_session_mark_the_forming_bar(adapter: AdapterUnderTest) -> None:
    """C08: what had not ended when it was asked for is not FINAL, everything else is."""
    async with tried(adapter) as played:
        for timeframe in timeframes(played):
            answer = await ask(played.provider, AAPL, timeframe, LATEST[timeframe])
            check_cover(answer)
            check_truth(answer, truth(), adapter, played.provider.capabilities.feeds[timeframe])
            is_final = (answer.frame.flags & BarFlag.FINAL).astype(bool)
            assert not is_final[-1]
            assert is_final[:-1].all()


@EVERY
async def test_bars_given_range_without_any_are_an_empty_answer(adapter: AdapterUnderTest) -> None:
    """C09: a weekend is covered by pages without bars, and is no error."""
    async with tried(adapter) as played:
        for timeframe in timeframes(played):
            answer = await ask(played.provider, AAPL, timeframe, WEEKEND[timeframe])
            check_cover(answer)
            assert not any(len(page.frame) for page in answer.pages)


@those(lambda adapter: adapter.tells_unknown)
async def test_bars_given_unknown_symbol_are_refused(adapter: AdapterUnderTest) -> None:
    """C10: a symbol that the provider does not know is an error, never an empty success."""
    async with tried(adapter) as played:
        for timeframe in timeframes(played):
            with pytest.raises(ProviderSymbolError):
                await ask(played.provider, UNKNOWN, timeframe, short(timeframe))


@EVERY
async def test_bars_given_timeframe_that_it_has_not_are_refused(adapter: AdapterUnderTest) -> None:
    """C24: bars of another timeframe are never taken for those that were asked for."""
    async with tried(adapter) as played:
        for timeframe in set(Timeframe) - set(timeframes(played)):
            with pytest.raises(ProviderKeyError):
                await ask(played.provider, AAPL, timeframe, WEEK)
        assert not played.side.calls


@EVERY
async def test_bars_given_own_spelling_send_it(adapter: AdapterUnderTest) -> None:
    """C11: a symbol is asked for in the provider's spelling; the symbol's own setting for it wins."""
    set_apart = replace(AAPL, symbol="APPLE", provider_symbols={adapter.name: "AAPL"})
    async with tried(adapter) as played:
        timeframe = timeframes(played)[-1]
        answer = await ask(played.provider, set_apart, timeframe, short(timeframe))
        assert answer.frame.symbols == ("APPLE",)
        assert len(answer.frame)
        seen = len(played.side.calls)
        await ask(played.provider, BERKSHIRE, timeframe, short(timeframe))
        spelled = adapter.spellings.get("BRK.B", "BRK.B")
        for call in played.side.calls[seen:]:
            assert spelled in f"{call.path} {sorted(call.query.values())}"


@pytest.mark.parametrize("number", [0, 1])
@with_faults()
async def test_bars_given_fault_once_are_the_truth_or_the_right_error(
    adapter: AdapterUnderTest, fault: Fault, number: int
) -> None:
    """C12: what passes is asked for again; wrong or missing bars never come without an error."""
    given = Circumstances(faults=at_call(number, fault), bounds=bounds_for(fault, 1.5), page_bars=700)
    await end_well(adapter, fault, given, must_recover=fault in PASSING or fault not in FATES)


@with_faults()
async def test_bars_given_fault_for_ever_are_the_truth_or_the_right_error(
    adapter: AdapterUnderTest, fault: Fault
) -> None:
    """C13: attempts are bounded, and the error says what kind of failure it is."""
    given = Circumstances(faults=always(fault), bounds=bounds_for(fault), page_bars=700)
    await end_well(adapter, fault, given, must_recover=fault not in FATES)


def bounds_for(fault: Fault | None, seconds: float = 0.3) -> CallBounds:
    """Give up soon only where an answer never ends; everything else may meet a slow machine."""
    return CallBounds(total_seconds=seconds) if fault is Fault.DRIP else CallBounds()


async def end_well(
    adapter: AdapterUnderTest, fault: Fault, given: Circumstances, *, must_recover: bool
) -> None:
    """Ask in spite of a fault, for the truth or for the error that the fault stands for."""
    async with tried(adapter, given) as played:
        for timeframe in timeframes(played):
            answer = await outcome(played.provider, AAPL, timeframe, short(timeframe))
            if isinstance(answer, ProviderError):
                assert not must_recover, answer
                assert type(answer) is FATES[fault]
                if fault is Fault.TOO_MANY_FOR_AN_HOUR:
                    assert answer.retry_after_seconds == 3_600
            else:
                check_cover(answer)
                check_truth(answer, truth(), adapter, played.provider.capabilities.feeds[timeframe])


@EVERY
@pytest.mark.parametrize("seed", range(8))
async def test_bars_given_random_faults_are_the_truth_or_an_error(
    adapter: AdapterUnderTest, seed: int
) -> None:
    """C14: whatever goes wrong, an answer without an error is the truth."""
    plan = at_random(seed, adapter.faults - {Fault.DRIP}, part=0.25)
    async with tried(adapter, Circumstances(faults=plan, page_bars=300)) as played:
        for timeframe in timeframes(played) * 2:
            answer = await outcome(played.provider, AAPL, timeframe, short(timeframe))
            if isinstance(answer, ProviderError):
                assert type(answer) in FATES.values()
            else:
                check_cover(answer)
                check_truth(answer, truth(), adapter, played.provider.capabilities.feeds[timeframe])


@those(lambda adapter: Fault.DRIP in adapter.faults)
async def test_bars_given_cancelled_call_leave_nothing_behind(adapter: AdapterUnderTest) -> None:
    """C15: cancelled in the middle of an answer, a call ends: no task and no connection is left."""
    async with tried(adapter, Circumstances(faults=always(Fault.DRIP))) as played:
        before = asyncio.all_tasks()
        timeframe = timeframes(played)[0]
        call = asyncio.create_task(ask(played.provider, AAPL, timeframe, short(timeframe)))
        await until(lambda: is_true(bool(played.side.calls)))
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: is_true(played.side.open_connections() == 0))
        # The server's own tasks end with their connections.
        await until(lambda: is_true(not asyncio.all_tasks() - before))


@with_faults(None)
async def test_messages_given_any_fault_hold_no_key(
    adapter: AdapterUnderTest, fault: Fault | None, caplog: pytest.LogCaptureFixture
) -> None:
    """C16: keys are in no message, in no log record, and in nothing that led to an error."""
    caplog.set_level(logging.DEBUG)
    plan = always(fault) if fault else Circumstances().faults
    texts: list[str] = []
    given = Circumstances(faults=plan, bounds=bounds_for(fault))
    async with tried(adapter, given) as played:
        for symbol in (AAPL, UNKNOWN):
            timeframe = timeframes(played)[0]
            answer = await outcome(played.provider, symbol, timeframe, short(timeframe))
            if isinstance(answer, ProviderError):
                texts.append("".join(traceback.format_exception(answer)))
                assert answer.__context__ is None
        texts += [repr(played.provider), str(vars(played.provider)), repr(played.provider.capabilities)]
    texts += [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    for secret in adapter.secrets:
        for spelling in {secret, quote(secret, safe=""), quote_plus(secret)}:
            assert not [text for text in texts if spelling in text]


@EVERY
async def test_calls_given_many_tasks_stay_within_limits_and_apart(adapter: AdapterUnderTest) -> None:
    """C18, C21: no more calls at once than allowed; each task gets the answer to its own question."""
    async with tried(adapter) as played:
        asked = [(symbol, frame) for symbol in (AAPL, BERKSHIRE) for frame in timeframes(played)] * 4
        answers = await asyncio.gather(
            *(ask(played.provider, symbol, timeframe, short(timeframe)) for symbol, timeframe in asked)
        )
        for answer, (_, timeframe) in zip(answers, asked, strict=True):
            check_truth(answer, truth(), adapter, played.provider.capabilities.feeds[timeframe])
        assert played.side.most_at_once <= played.provider.limits.calls_at_once


@those(lambda adapter: adapter.has_daily_limit)
async def test_calls_given_quota_are_counted_before_they_are_made(adapter: AdapterUnderTest) -> None:
    """C19: each call has its place in the day's quota; where there is none left, none is made."""
    quota = NotedQuota(most=1)
    async with tried(adapter, Circumstances(quota=quota, page_bars=200)) as played:
        timeframe = timeframes(played)[0]
        first = short(timeframe)
        wanted = TimeRange(first.start_us, first.end_us + MONTH_US)
        with pytest.raises(ProviderLimitError) as caught:
            await ask(played.provider, AAPL, timeframe, wanted)
        assert caught.value.retry_after_seconds == 3_600
        assert len(played.side.calls) == len(quota.taken) == 1
        # Asked once: a quota that is used up is nothing to wait for.
        assert quota.refused == 1
        name, key = quota.taken[0]
        assert name == adapter.name
        assert not [secret for secret in adapter.secrets if secret in key]


@those(lambda adapter: Fault.SERVER_ERROR in adapter.faults)
async def test_waits_given_fault_are_told(adapter: AdapterUnderTest) -> None:
    """C20: who waits between two attempts says so, and for how long."""
    given = Circumstances(faults=at_call(0, Fault.SERVER_ERROR))
    async with tried(adapter, given) as played:
        await ask(played.provider, AAPL, timeframes(played)[0], short(timeframes(played)[0]))
    assert [(name, reason) for name, reason, _ in given.waits.noted] == [(adapter.name, "retry")]
    assert all(seconds > 0 for _, _, seconds in given.waits.noted)


@EVERY
async def test_actions_given_range_are_the_truth(adapter: AdapterUnderTest) -> None:
    """C22: splits and cash dividends as declared, ascending, ex-dates in `[start, end)`."""
    async with tried(adapter) as played:
        known = truth().actions["AAPL"]
        start, end = known[1].ex_date, known[-1].ex_date
        if not played.provider.capabilities.has_actions:
            with pytest.raises(ProviderKeyError):
                await played.provider.fetch_actions(AAPL, start, end)
            return
        found = await played.provider.fetch_actions(AAPL, start, end)
        assert [replace(action, source="") for action in found] == list(known[1:-1])
        assert all(action.source for action in found)
        assert not await played.provider.fetch_actions(BERKSHIRE, start, end)
        with pytest.raises(ProviderSymbolError):
            await played.provider.fetch_actions(UNKNOWN, start, end)


@EVERY
async def test_company_given_symbol_is_the_truth(adapter: AdapterUnderTest) -> None:
    """C23: what is known of a company; what the provider does not tell is None or empty."""
    async with tried(adapter) as played:
        if not played.provider.capabilities.has_company:
            with pytest.raises(ProviderKeyError):
                await played.provider.fetch_company(AAPL)
            return
        found = await played.provider.fetch_company(AAPL)
        untold = CompanyFacts()
        for field in fields(CompanyFacts):
            told = truth().companies["AAPL"] if field.name in adapter.company_fields else untold
            assert getattr(found, field.name) == getattr(told, field.name), field.name
        with pytest.raises(ProviderSymbolError):
            await played.provider.fetch_company(UNKNOWN)


@EVERY
async def test_listings_given_symbols_are_the_truth(adapter: AdapterUnderTest) -> None:
    """C25: all that is stated of the tickers, former holders too; of others nothing, and no guess."""
    async with tried(adapter) as played:
        provider = played.provider
        assert isinstance(provider, TellsListings) == provider.capabilities.has_listings
        if not isinstance(provider, TellsListings):
            return
        found = await provider.fetch_listings([AAPL, BERKSHIRE, META, TWITTER, UNKNOWN])
        stated = {
            symbol.symbol_id: [
                replace(one, symbol=adapter.spellings.get(one.symbol, one.symbol))
                for one in truth().listings
                if one.symbol == symbol.symbol
            ]
            for symbol in (AAPL, BERKSHIRE, META, TWITTER)
        }
        assert found == stated
        london = replace(TWITTER, venue="XLON")
        assert await provider.fetch_listings([london]) == {}


@with_faults()
async def test_listings_given_fault_are_the_truth_or_its_error(
    adapter: AdapterUnderTest, fault: Fault
) -> None:
    """C25, C12 to C14: what goes wrong is never taken for a statement, nor for silence."""
    truths = {AAPL.symbol_id: ["AAPL"], TWITTER.symbol_id: ["TWTR"]}
    for plan, is_once in ((at_call(1, fault), True), (always(fault), False)):
        async with tried(adapter, Circumstances(faults=plan)) as played:
            provider = played.provider
            if not isinstance(provider, TellsListings):
                return
            failure: ProviderError | None = None
            found: Mapping[int, Sequence[Listing]] = {}
            try:
                found = await provider.fetch_listings([AAPL, TWITTER])
            except ProviderError as error:
                failure = error
            if failure is None:
                # Dripped, a short list is whole in time.
                assert is_once or fault not in FATES or fault is Fault.DRIP
                assert {key: [one.symbol for one in ones] for key, ones in found.items()} == truths
            else:
                assert isinstance(failure, FATES[fault])
                assert not (is_once and fault in PASSING)
