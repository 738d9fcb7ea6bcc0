"""Runs and providers on the wire."""

from bifrost.marketdata.v1 import ingestion_pb2
from google.protobuf.duration_pb2 import Duration

from marketdata.domain.ingestion_run import IngestionRun, ProviderWait, TaskTrouble
from marketdata.domain.provider import ProviderDescription
from marketdata.wire.enums import TIMEFRAME_TO_PROTO
from marketdata.wire.ingestion_requests import MODE_TO_PROTO, STATE_TO_PROTO
from marketdata.wire.times import to_timestamp


def to_proto_run(run: IngestionRun) -> ingestion_pb2.IngestionRun:
    """Turn a run into its message."""
    message = ingestion_pb2.IngestionRun(
        run_id=run.run_id,
        request_id=run.request.request_id,
        mode=MODE_TO_PROTO[run.request.mode],
        provider=run.request.provider,
        symbol_count=len(run.request.symbols),
        timeframes=[TIMEFRAME_TO_PROTO[timeframe] for timeframe in run.request.timeframes],
        refetch=run.request.refetches,
        state=STATE_TO_PROTO[run.state],
        create_time=to_timestamp(run.created_us),
        is_cancelling=run.is_cancelling,
        error=run.error,
        progress=_progress(run),
        owner=run.owner,
        troubles=[_trouble(trouble) for trouble in run.troubles],
    )
    times = {
        "start_time": run.request.start_us,
        "end_time": run.request.end_us,
        "begin_time": run.started_us,
        "finish_time": run.finished_us,
    }
    for field, time_us in times.items():
        if time_us is not None:
            getattr(message, field).CopyFrom(to_timestamp(time_us))
    return message


def to_proto_provider(provider: ProviderDescription) -> ingestion_pb2.Provider:
    """Turn a provider's description into its message."""
    message = ingestion_pb2.Provider(
        name=provider.name,
        title=provider.title,
        is_ready=not provider.problem,
        problem=provider.problem,
        has_actions=provider.has_actions,
        has_company=provider.has_company,
        calls_a_minute=provider.calls_a_minute or 0,
        calls_a_day=provider.calls_a_day or 0,
        terms=provider.terms,
        has_listings=provider.has_listings,
    )
    for timeframe, feed in provider.feeds.items():
        one = message.timeframes.add(timeframe=TIMEFRAME_TO_PROTO[timeframe], feed=feed)
        history = provider.history.get(timeframe)
        if history is not None:
            one.history.FromTimedelta(history)
    return message


def _progress(run: IngestionRun) -> ingestion_pb2.IngestionProgress:
    counts = run.counts
    message = ingestion_pb2.IngestionProgress(
        symbols=run.symbols,
        symbols_done=run.symbols_done,
        tasks=run.tasks,
        tasks_done=run.tasks_done,
        tasks_failed=run.tasks_failed,
        share_done=run.share_done,
        fetched=counts.fetched,
        accepted=counts.accepted,
        revised=counts.revised,
        unchanged=counts.unchanged,
        outranked=counts.outranked,
        quarantined=counts.quarantined,
        flagged=counts.flagged,
        bars_per_second=run.bars_a_second,
        waits=[_wait(wait) for wait in run.waits],
    )
    if run.seconds_left is not None:
        message.time_left.CopyFrom(_duration(run.seconds_left))
    return message


def _wait(wait: ProviderWait) -> ingestion_pb2.ProviderWait:
    return ingestion_pb2.ProviderWait(
        provider=wait.provider, reason=wait.reason, time_left=_duration(wait.seconds_left)
    )


def _trouble(trouble: TaskTrouble) -> ingestion_pb2.IngestionTrouble:
    message = ingestion_pb2.IngestionTrouble(
        symbol=trouble.symbol,
        message=trouble.message,
        is_failed=trouble.is_failed,
        done_until=to_timestamp(trouble.done_until_us),
    )
    if trouble.timeframe is not None:
        message.timeframe = TIMEFRAME_TO_PROTO[trouble.timeframe]
    if trouble.retry_at_us is not None:
        message.retry_time.CopyFrom(to_timestamp(trouble.retry_at_us))
    return message


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMicroseconds(round(seconds * 1_000_000))
    return duration
