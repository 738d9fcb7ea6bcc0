"""Messages of IngestionService: requests made of domain values, answers turned into them."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from bifrost.marketdata.v1 import ingestion_pb2, ingestion_service_pb2
from google.protobuf.message import Message

from marketdata.client.enums import known
from marketdata.client.ingestion_answers import RunStatus, RunTrouble
from marketdata.client.times import Moment, decode_moment, encode_moment
from marketdata.domain.ingestion_run import IngestionMode, ProviderWait, RunCounts
from marketdata.domain.provider import ProviderDescription
from marketdata.domain.timeframe import Timeframe
from marketdata.wire.enums import TIMEFRAME_FROM_PROTO, TIMEFRAME_TO_PROTO
from marketdata.wire.ingestion_requests import MODE_FROM_PROTO, MODE_TO_PROTO, STATE_FROM_PROTO


def start_ingestion_request(
    mode: IngestionMode,
    provider: str,
    symbols: Sequence[str],
    timeframes: Sequence[Timeframe | str],
    start: Moment | None,
    end: Moment | None,
    request_id: str | None,
    *,
    refetches: bool,
) -> ingestion_service_pb2.StartIngestionRequest:
    """Make a StartIngestionRequest, under an id of its own where none is given."""
    return ingestion_service_pb2.StartIngestionRequest(
        mode=MODE_TO_PROTO[mode],
        provider=provider,
        symbols=symbols,
        timeframes=[TIMEFRAME_TO_PROTO[Timeframe(timeframe)] for timeframe in timeframes],
        start_time=encode_moment("start", start),
        end_time=encode_moment("end", end),
        refetch=refetches,
        request_id=request_id or uuid.uuid4().hex,
    )


def from_provider(message: ingestion_pb2.Provider) -> ProviderDescription:
    """Turn a provider's message into its description."""
    timeframes = {
        known(TIMEFRAME_FROM_PROTO, one.timeframe, "timeframe"): one for one in message.timeframes
    }
    return ProviderDescription(
        name=message.name,
        title=message.title,
        problem=message.problem,
        feeds={timeframe: one.feed for timeframe, one in timeframes.items()},
        history={
            timeframe: one.history.ToTimedelta() if one.HasField("history") else None
            for timeframe, one in timeframes.items()
        },
        has_actions=message.has_actions,
        has_company=message.has_company,
        calls_a_minute=message.calls_a_minute or None,
        calls_a_day=message.calls_a_day or None,
        terms=message.terms,
        has_listings=message.has_listings,
    )


def from_run(message: ingestion_pb2.IngestionRun) -> RunStatus:
    """Turn a run's message into its status."""
    progress = message.progress
    return RunStatus(
        run_id=message.run_id,
        request_id=message.request_id,
        mode=known(MODE_FROM_PROTO, message.mode, "mode"),
        provider=message.provider,
        symbol_count=message.symbol_count,
        timeframes=tuple(known(TIMEFRAME_FROM_PROTO, t, "timeframe") for t in message.timeframes),
        start=_moment(message, "start_time"),
        end=_moment(message, "end_time"),
        state=known(STATE_FROM_PROTO, message.state, "state"),
        created=decode_moment(message.create_time),
        begun=_moment(message, "begin_time"),
        finished=_moment(message, "finish_time"),
        is_cancelling=message.is_cancelling,
        error=message.error,
        symbols=progress.symbols,
        symbols_done=progress.symbols_done,
        tasks=progress.tasks,
        tasks_done=progress.tasks_done,
        tasks_failed=progress.tasks_failed,
        share_done=progress.share_done,
        counts=_counts(progress),
        bars_per_second=progress.bars_per_second,
        seconds_left=_seconds(progress),
        waits=tuple(_wait(wait) for wait in progress.waits),
        troubles=tuple(_trouble(trouble) for trouble in message.troubles),
    )


def _counts(progress: ingestion_pb2.IngestionProgress) -> RunCounts:
    return RunCounts(
        fetched=progress.fetched,
        accepted=progress.accepted,
        revised=progress.revised,
        unchanged=progress.unchanged,
        outranked=progress.outranked,
        quarantined=progress.quarantined,
        flagged=progress.flagged,
    )


def _wait(message: ingestion_pb2.ProviderWait) -> ProviderWait:
    return ProviderWait(message.provider, message.reason, message.time_left.ToMicroseconds() / 1e6)


def _trouble(message: ingestion_pb2.IngestionTrouble) -> RunTrouble:
    return RunTrouble(
        symbol=message.symbol,
        timeframe=(
            known(TIMEFRAME_FROM_PROTO, message.timeframe, "timeframe") if message.timeframe else None
        ),
        message=message.message,
        is_failed=message.is_failed,
        done_until=decode_moment(message.done_until),
        retry_time=_moment(message, "retry_time"),
    )


def _seconds(progress: ingestion_pb2.IngestionProgress) -> float | None:
    return progress.time_left.ToMicroseconds() / 1e6 if progress.HasField("time_left") else None


def _moment(message: Message, field: str) -> datetime | None:
    return decode_moment(getattr(message, field)) if message.HasField(field) else None
