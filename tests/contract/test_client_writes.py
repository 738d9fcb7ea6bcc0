"""Calls of the typed client that write, against the real service."""

import asyncio
import threading
from datetime import date, timedelta

import numpy as np
import pytest

from marketdata.client import (
    BarsDeleted,
    MarketDataClient,
    NewSymbol,
    RejectedBars,
    RetryPolicy,
    SyncMarketDataClient,
    UploadResult,
)
from marketdata.errors import (
    InvalidRequestError,
    ServerDrainingError,
    SymbolAlreadyExistsError,
    SymbolHasBarsError,
    SymbolNotFoundError,
)
from tests.contract.service import Service
from tests.support.client_bars import OPEN, SESSIONS, frame_of, labels


async def test_sync_client_given_writes_does_them(service: Service) -> None:
    """Create, change, upload, delete; errors are the tree's."""
    progress: list[tuple[UploadResult, int]] = []

    def writes() -> None:
        own = threading.get_ident()
        with SyncMarketDataClient(service.address) as sync:
            sync.create_symbol(NewSymbol("FB"))
            with pytest.raises(SymbolAlreadyExistsError):
                sync.create_symbol(NewSymbol("FB"))
            renamed = sync.update_symbol(
                "FB", NewSymbol("META"), ["symbol"], effective_date=date(2022, 6, 9)
            )
            assert renamed.symbol == "META"
            assert sync.get_symbol("FB") == renamed
            good = frame_of("META", labels(SESSIONS[:3]))
            assert sync.create_bars(good, "1d").accepted == 3
            frames = iter([good, frame_of("META", labels(SESSIONS[3:5]))])
            result = sync.upload_bars(
                frames, "1d", on_progress=lambda r: progress.append((r, threading.get_ident()))
            )
            assert (result.batches, result.unchanged, result.accepted) == (2, 3, 2)
            assert {thread for _, thread in progress} == {own}
            with pytest.raises(SymbolHasBarsError):
                sync.delete_symbol("META")
            deleted = sync.delete_bars("META", "1d", SESSIONS[0], SESSIONS[1], reason="a test")
            assert (type(deleted), deleted.deleted) == (BarsDeleted, 1)
            assert deleted.seq > 0
            assert sync.delete_symbol("META", force=True) == 4
            with pytest.raises(SymbolNotFoundError):
                sync.bars("META", "1d")

    await asyncio.to_thread(writes)


async def test_upload_bars_given_broken_bars_says_which_of_the_callers(service: Service) -> None:
    """Good bars are stored; the others are counted by rule, with frame and row."""
    times = labels(SESSIONS[:4])
    high = np.array([200.0, 1.0, 200.0, 1.0])
    broken = frame_of("AAPL", times, high=high)
    async with MarketDataClient(service.address) as client:
        await client.create_symbol(NewSymbol("AAPL"))
        result = await client.upload_bars([frame_of("NOPE", times[:1]), broken], "1d")
        stored = await client.bars("AAPL", "1d")
    assert (result.accepted, result.rejected) == (2, 3)
    unknown, not_highest = result.rejects
    assert (unknown.rule, unknown.bars) == ("SYMBOL_NOT_FOUND", 1)
    assert isinstance(not_highest, RejectedBars)
    assert (not_highest.rule, not_highest.bars) == ("HIGH_NOT_HIGHEST", 2)
    assert not_highest.samples == ((1, 1), (1, 3))
    assert stored.time_us.tolist() == [broken.time_us[0], broken.time_us[2]]


@pytest.mark.parametrize("attempt", range(20))
async def test_upload_bars_given_refused_batch_raises_what_the_service_said(
    service: Service, attempt: int
) -> None:
    """Also while further batches are being sent, when gRPC first says INTERNAL of the call."""
    times = [OPEN + timedelta(minutes=number) for number in range(390)]
    good = frame_of("AAPL", times)
    async with MarketDataClient(service.address) as client:
        await client.create_symbol(NewSymbol("AAPL"))
        frames = [good] * (attempt % 3) + [frame_of("aapl", times)] + [good] * 8
        with pytest.raises(InvalidRequestError) as caught:
            await client.upload_bars(frames, "1m")
    assert {v.reason for v in caught.value.violations} == {"MALFORMED_SYMBOL"}
    assert caught.value.metadata["frame_number"] == str(attempt % 3)


async def test_upload_bars_given_service_that_refuses_the_call_raises_why(service: Service) -> None:
    """Also a refusal that comes before the first batch was read is heard in the end."""
    await service.admission.drain(0)
    policy = RetryPolicy(most_attempts=3, first_wait_seconds=0.01)
    times = [OPEN + timedelta(minutes=number) for number in range(20_000)]
    async with MarketDataClient(service.address, retries=policy) as client:
        with pytest.raises(ServerDrainingError):
            await client.upload_bars([frame_of("AAPL", times)] * 4, "1m")
