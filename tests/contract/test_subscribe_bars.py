"""SubscribeBars: what subscribers are told, and where they go on."""

from datetime import date
from typing import Any, Final

import grpc
import pytest
from bifrost.marketdata.v1 import bar_subscription_pb2 as messages
from bifrost.marketdata.v1.bars_service_pb2 import DeleteBarsRequest, StreamBarsRequest
from bifrost.marketdata.v1.symbol_service_pb2 import CreateCorporateActionsRequest
from bifrost.marketdata.v1.timeframe_pb2 import TIMEFRAME_5_MINUTES as FIVE_MINUTES

from marketdata.domain.bars import BarFlag
from marketdata.domain.log_position import LogPosition
from marketdata.domain.subscription import ResumePoint, SubscriptionFilter
from marketdata.domain.symbol import SymbolUpdate
from marketdata.domain.timeframe import Timeframe
from marketdata.storage.embedded import ServerAddress
from marketdata.storage.log_reader import LogReader, renew_generation
from marketdata.storage.token_key import read_token_key
from marketdata.wire.resume_token import TokenSigner
from tests.contract.refusals import Refusal, stream_refusal_of, to_refusal
from tests.contract.requests import (
    DAY,
    HOUR,
    MINUTE,
    OPEN_US,
    TUESDAY_US,
    add_bars,
    add_symbols,
    stamp_us,
)
from tests.contract.service import CALL_SECONDS, Service, serving
from tests.contract.streams import rows_of, stream
from tests.contract.subscribing import Told, flat_minutes, subscribe, subscribed
from tests.support.bars import days
from tests.support.databases import connected
from tests.support.waiting import until

WEDNESDAY_US: Final = TUESDAY_US + days(1)
OK: Final = messages.SUBSCRIBED_SYMBOL_STATUS_OK
UNKNOWN: Final = messages.SUBSCRIBED_SYMBOL_STATUS_UNKNOWN


def statuses(symbols: Any) -> list[tuple[str, int]]:
    """List symbols with what they name."""
    return [(symbol.symbol, symbol.status) for symbol in symbols]


async def refusal_of_subscription(service: Service, **changes: Any) -> Refusal:
    """Subscribe in a way that must be refused."""
    return await stream_refusal_of(
        service.bars.SubscribeBars(subscribe("AAPL", **changes), timeout=CALL_SECONDS)
    )


async def test_subscribe_given_symbols_acknowledges_each_and_what_is_applied(
    following: Service,
) -> None:
    """Unknown symbols do not end the call; defaults are said."""
    await add_symbols(following, "AAPL")
    async with subscribed(following, subscribe("AAPL", "NONE")) as told:
        event = await told.next()
        assert statuses(event.ack.symbols) == [("AAPL", OK), ("NONE", UNKNOWN)]
        assert event.ack.heartbeat_seconds == 15
        assert event.ack.slow_reader_policy == messages.SLOW_READER_POLICY_DISCONNECT
        assert (await told.next()).HasField("caught_up")


async def test_subscribe_given_new_and_revised_bars_tells_them_whole(following: Service) -> None:
    """A change is a message with all its bars, their revision and its seq; what is the same is none."""
    await add_symbols(following, "AAPL")
    async with subscribed(following, subscribe("AAPL")) as told:
        assert await told.until_live()
        first = await add_bars(following, [TUESDAY_US, WEDNESDAY_US])
        event = await told.next()
        assert (event.seq, event.stored, event.conflated) == (first, False, False)
        assert rows_of(event.bars, "close", "volume", "revision", "flags") == [
            ("AAPL", TUESDAY_US, 11.0, 100.0, 0, int(BarFlag.FINAL)),
            ("AAPL", WEDNESDAY_US, 12.0, 200.0, 0, int(BarFlag.FINAL)),
        ]
        assert list(event.bars.feeds) == ["manual/upload"]
        assert await add_bars(following, [TUESDAY_US, WEDNESDAY_US]) == 0
        second = await add_bars(following, [TUESDAY_US, WEDNESDAY_US], volume=[100.0, 7.0])
        event = await told.next()
        assert event.seq == second
        assert rows_of(event.bars, "volume", "revision") == [("AAPL", WEDNESDAY_US, 7.0, 1)]


async def test_subscribe_given_filter_tells_only_its_symbols_and_timeframes(
    following: Service,
) -> None:
    """Others' bars in the same write are left out; all symbols get them all."""
    await add_symbols(following, "AAPL", "IBM", "MSFT")
    named = subscribe("MSFT", "AAPL", timeframes=[DAY, MINUTE])
    async with subscribed(following, named) as told, subscribed(following, subscribe("*")) as every:
        await told.until_live()
        await every.until_live()
        times = [TUESDAY_US] * 3
        index = [0, 1, 2]
        symbols = ("AAPL", "IBM", "MSFT")
        await add_bars(following, times, symbols=symbols, symbol_index=index)
        await add_bars(following, [OPEN_US], HOUR, symbols=("AAPL",))
        last = await add_bars(following, [OPEN_US], MINUTE, symbols=("AAPL",))
        assert {row[0] for row in rows_of((await told.next()).bars)} == {"AAPL", "MSFT"}
        event = await told.next()
        assert (event.seq, event.bars.timeframe) == (last, MINUTE)
        assert {row[0] for row in rows_of((await every.next()).bars)} == set(symbols)


async def test_subscribe_given_start_time_tells_stored_bars_then_changes(following: Service) -> None:
    """Stored bars from that time on, marked, then what is committed later: nothing twice."""
    await add_symbols(following, "AAPL")
    seq = await add_bars(following, [TUESDAY_US, WEDNESDAY_US])
    request = subscribe("AAPL", "NONE", start_time=stamp_us(WEDNESDAY_US))
    async with subscribed(following, request) as told:
        ack, stored = await told.until_live()
        assert (ack.resume_token, stored.resume_token) == ("", "")
        assert (ack.seq, stored.seq, stored.stored) == (seq, seq, True)
        assert rows_of(stored.bars) == [("AAPL", WEDNESDAY_US)]
        later = await add_bars(following, [TUESDAY_US + days(2)])
        event = await told.next()
        assert (event.seq, event.stored) == (later, False)
        assert event.resume_token


async def test_subscribe_given_token_of_stream_bars_continues_its_snapshot(
    following: Service,
) -> None:
    """What a bulk read answered, and what a subscription tells behind it, is everything once."""
    await add_symbols(following, "AAPL", "IBM")
    await add_bars(following, [TUESDAY_US])
    request = StreamBarsRequest(symbols=["IBM", "AAPL"], timeframe=DAY)
    read = await stream(following, request)
    seq = await add_bars(following, [WEDNESDAY_US])
    resumed = subscribe("AAPL", "IBM", resume_token=read.header.resume_token)
    async with subscribed(following, resumed) as told:
        assert (await told.next()).seq == read.header.snapshot_seq
        event = await told.next()
        assert event.seq == seq
        assert read.rows() + rows_of(event.bars) == [("AAPL", TUESDAY_US), ("AAPL", WEDNESDAY_US)]


async def test_stream_bars_given_timeframe_that_is_derived_has_no_token(following: Service) -> None:
    """What cannot be subscribed to promises nothing."""
    await add_symbols(following, "AAPL")
    request = StreamBarsRequest(symbols=["AAPL"], timeframe=FIVE_MINUTES)
    assert (await stream(following, request)).header.resume_token == ""


async def test_subscribe_given_token_of_another_replica_goes_on_there(
    following: Service, database: ServerAddress
) -> None:
    """Replicas share the database's key, and so does the same one after a restart."""
    await add_symbols(following, "AAPL")
    async with subscribed(following, subscribe("AAPL")) as told:
        token = (await told.next()).resume_token
    seq = await add_bars(following)
    request = subscribe("AAPL", resume_token=token)
    async with (
        serving(lambda: database, follows_log=True) as other,
        subscribed(other, request) as told,
    ):
        assert (await told.next_of("bars")).seq == seq


async def test_subscribe_given_token_within_a_write_goes_on_within_it(following: Service) -> None:
    """A write of several entries is never told half twice: the token counts what was told of it."""
    await add_symbols(following, "AAPL")
    await add_bars(following, [TUESDAY_US])
    await add_bars(following, [OPEN_US], HOUR)
    request = subscribe("*", timeframes=[DAY, HOUR])
    async with subscribed(following, request) as told:
        await told.until_live()
        await following.stores.symbol_deleter.delete("AAPL", force=True)
        parts = [await told.next() for _ in range(3)]
    kinds = [part.WhichOneof("event") for part in parts]
    assert kinds == ["range_changed", "range_changed", "symbol_changed"]
    assert len({part.seq for part in parts}) == 1
    for number, part in enumerate(parts):
        request.resume_token = part.resume_token
        async with subscribed(following, request) as told:
            assert (await told.next()).HasField("ack")
            rest = [await told.next_of(*kinds) for _ in parts[number + 1 :]]
            assert rest == parts[number + 1 :]
            await add_symbols(following, f"S{number}")
            event = await told.next_of(*kinds)
            assert statuses(event.symbol_changed.symbols) == [(f"S{number}", OK)]
        if number == 2:
            break
        parts.append(event)


async def test_subscribe_given_changed_or_foreign_token_says_what_to_do(following: Service) -> None:
    """Tokens are signed, and bound to symbols and timeframes."""
    await add_symbols(following, "AAPL")
    async with subscribed(following, subscribe("AAPL")) as told:
        token = (await told.next()).resume_token
    changed = token[:10] + ("A" if token[10] != "A" else "B") + token[11:]
    for bad in (changed, token[:-1], "CAFE", "x" * 5_000, "ä"):
        refusal = await refusal_of_subscription(following, resume_token=bad)
        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refusal.violations == {("resume_token", "INVALID_RESUME_TOKEN")}
        assert "start_time" in refusal.message
    other = await refusal_of_subscription(following, resume_token=token, timeframes=[DAY, HOUR])
    assert other.violations == {("resume_token", "OTHER_SUBSCRIPTION")}


async def test_subscribe_given_configured_key_takes_tokens_of_that_key_only(
    following: Service, database: ServerAddress
) -> None:
    """Whoever has another key resumes nowhere."""
    async with subscribed(following, subscribe("AAPL")) as told:
        token = (await told.next()).resume_token
    key = "0123456789abcdef"
    async with serving(lambda: database, follows_log=True, MARKETDATA_TOKEN_KEY=key) as other:
        refusal = await refusal_of_subscription(other, resume_token=token)
        assert refusal.violations == {("resume_token", "INVALID_RESUME_TOKEN")}
        async with subscribed(other, subscribe("AAPL")) as told:
            own = (await told.next()).resume_token
        async with subscribed(other, subscribe("AAPL", resume_token=own)) as told:
            assert (await told.next()).HasField("ack")


async def token_at(service: Service, seq: int, generation: str | None = None) -> str:
    """Sign a token as the service would have."""
    bounds = await LogReader(service.stores.pools).bounds()
    position = LogPosition(generation or bounds.generation, seq)
    signer = TokenSigner(await read_token_key(service.stores.pools))
    wanted = SubscriptionFilter(("AAPL",), frozenset({Timeframe.DAY_1}))
    return signer.sign(wanted, ResumePoint(position))


async def test_subscribe_given_token_that_is_too_old_says_the_oldest(
    following: Service, database: ServerAddress
) -> None:
    """Entries that were trimmed cannot be told: OUT_OF_RANGE, and what to do."""
    await add_symbols(following, "AAPL")
    for day in range(4):
        seq = await add_bars(following, [TUESDAY_US + days(day)])
    token = await token_at(following, 0)
    with connected(database) as connection:
        connection.execute("UPDATE bar_log SET oldest_seq = %s", [seq])
    refusal = await refusal_of_subscription(following, resume_token=token)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.OUT_OF_RANGE, "LOG_TRIMMED")
    assert refusal.metadata["oldest_seq"] == str(seq)
    assert "read what is stored" in refusal.message


async def test_subscribe_given_token_of_another_history_says_so(following: Service) -> None:
    """After a restore positions mean nothing: FAILED_PRECONDITION, and what to do."""
    token = await token_at(following, 0)
    await renew_generation(following.stores.pools)
    refusal = await refusal_of_subscription(following, resume_token=token)
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.reason == "OTHER_LOG_GENERATION"
    assert "read what is stored" in refusal.message


async def test_subscribe_given_bars_deleted_tells_the_range(following: Service) -> None:
    """Deletions reach subscribers with their reason; other timeframes' do not."""
    await add_symbols(following, "AAPL")
    await add_bars(following, [TUESDAY_US, WEDNESDAY_US])
    await add_bars(following, [OPEN_US], HOUR)
    async with subscribed(following, subscribe("AAPL")) as told:
        await told.until_live()
        for timeframe in (HOUR, DAY):
            request = DeleteBarsRequest(
                symbol="AAPL",
                timeframe=timeframe,
                start_time=stamp_us(TUESDAY_US),
                end_time=stamp_us(WEDNESDAY_US),
                reason="wrong feed",
            )
            deleted = await following.bars.DeleteBars(request, timeout=CALL_SECONDS)
        event = await told.next()
        assert event.seq == deleted.seq
        assert event.range_changed == messages.BarRangeChanged(
            symbols=["AAPL"],
            timeframe=DAY,
            start_time=stamp_us(TUESDAY_US),
            end_time=stamp_us(WEDNESDAY_US),
            reason=messages.RANGE_CHANGE_REASON_DELETED,
            description="wrong feed",
        )


async def test_subscribe_given_more_bars_than_the_log_holds_tells_the_range(
    following: Service,
) -> None:
    """A write that is too large for the log is to be read again."""
    await add_symbols(following, "AAPL")
    frame = flat_minutes(16_385)
    async with subscribed(following, subscribe("*", timeframes=[MINUTE])) as told:
        await told.until_live()
        await following.stores.intake.store(frame, Timeframe.MINUTE_1)
        changed = (await told.next()).range_changed
    assert (list(changed.symbols), changed.timeframe) == (["AAPL"], MINUTE)
    assert changed.reason == messages.RANGE_CHANGE_REASON_MANY_BARS
    assert changed.start_time == stamp_us(OPEN_US)
    assert changed.end_time.ToMicroseconds() > int(frame.time_us[-1])


async def test_subscribe_given_corporate_action_tells_it(following: Service) -> None:
    """Adjusted prices read differently from now on: subscribers hear why."""
    await add_symbols(following, "AAPL", "IBM")
    for symbols in (("AAPL",), ("*",)):
        async with subscribed(following, subscribe(*symbols)) as told:
            await told.until_live()
            request = CreateCorporateActionsRequest(symbol="AAPL")
            year = 2020 if symbols == ("*",) else 2021
            request.actions.add(kind=1, ex_date=f"{year}-08-31", split_ratio=4.0)
            stored = await following.symbols.CreateCorporateActions(request, timeout=CALL_SECONDS)
            event = await told.next()
            assert (event.seq, event.action.symbol) == (stored.seq, "AAPL")
            (action,) = event.action.actions
            assert (action.ex_date, action.split_ratio) == (f"{year}-08-31", 4.0)


async def test_subscribe_given_symbol_that_becomes_known_tells_it_and_its_bars(
    following: Service,
) -> None:
    """Nobody has to subscribe again."""
    async with subscribed(following, subscribe("AAPL")) as told:
        await told.until_live()
        await add_symbols(following, "AAPL")
        event = await told.next()
        assert statuses(event.symbol_changed.symbols) == [("AAPL", OK)]
        seq = await add_bars(following)
        assert (await told.next()).seq == seq


async def test_subscribe_given_rename_tells_bars_of_the_new_ticker_under_the_symbol_asked_for(
    following: Service,
) -> None:
    """A symbol is one through a rename: whoever follows FB gets META's bars, as FB."""
    await add_symbols(following, "FB")
    await add_bars(following, [TUESDAY_US], symbols=("FB",))
    update = SymbolUpdate({"symbol": "META"}, date(2024, 1, 3))
    async with subscribed(following, subscribe("FB")) as told:
        await told.until_live()
        await following.stores.symbols.update("FB", update)
        assert statuses((await told.next()).symbol_changed.symbols) == [("FB", OK)]
        await add_bars(following, [WEDNESDAY_US], symbols=("META",))
        assert rows_of((await told.next()).bars) == [("FB", WEDNESDAY_US)]
    request = subscribe("META", start_time=stamp_us(TUESDAY_US))
    async with subscribed(following, request) as told:
        _, *stored = await told.until_live()
        rows = [row for event in stored for row in rows_of(event.bars)]
        assert rows == [("META", TUESDAY_US), ("META", WEDNESDAY_US)]


async def test_subscribe_given_silence_says_up_to_where_all_was_told(following: Service) -> None:
    """Others' changes are no news, and move the bookmark."""
    await add_symbols(following, "AAPL", "IBM")
    async with subscribed(following, subscribe("IBM", heartbeat_seconds=1)) as told:
        await told.until_live()
        seq = await add_bars(following)
        event = await told.next()
        assert event.HasField("heartbeat")
        assert (event.seq, bool(event.resume_token)) == (seq, True)


async def test_subscribe_given_drain_ends_with_a_status_and_goes_on_elsewhere(
    following: Service, database: ServerAddress
) -> None:
    """A server that stops ends its subscriptions at once; another one resumes them."""
    await add_symbols(following, "AAPL")
    async with subscribed(following, subscribe("AAPL")) as told:
        token = (await told.next()).resume_token
        await told.until_live()
        await following.admission.drain(60)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await told.next()
    refusal = to_refusal(caught.value)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
    async with serving(lambda: database, follows_log=True) as other:
        seq = await add_bars(other)
        async with subscribed(other, subscribe("AAPL", resume_token=token)) as told:
            assert (await told.next_of("bars")).seq == seq


async def test_subscribe_given_limit_reached_is_refused_and_others_are_served(
    database: ServerAddress,
) -> None:
    """Subscriptions are counted by themselves; one that ends makes room."""
    settings: dict[str, Any] = {"MARKETDATA_MAX_SUBSCRIPTIONS": 1, "MARKETDATA_MAX_CALLS": 1}
    async with serving(lambda: database, follows_log=True, **settings) as service:
        await add_symbols(service, "AAPL")
        async with subscribed(service, subscribe("AAPL")) as told:
            await told.until_live()
            refusal = await refusal_of_subscription(service)
            assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert refusal.metadata == {"limit": "1"}
            seq = await add_bars(service)
            assert (await told.next()).seq == seq

        async def has_room() -> bool:
            async with subscribed(service, subscribe("AAPL")) as told:
                return bool(await _is_acknowledged(told))

        await until(has_room)
        assert len(service.stores.tailer._consumers) <= 1


async def _is_acknowledged(told: Told) -> bool:
    try:
        return (await told.next()).HasField("ack")
    except grpc.aio.AioRpcError:
        return False
