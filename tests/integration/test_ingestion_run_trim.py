"""Runs trimmed by age: what is over long ago goes, what was fetched stays noted."""

from datetime import timedelta

import pytest

from marketdata.storage.ingestion import run_trim
from marketdata.storage.ingestion.run_trim import RunTrimmer
from tests.support.ingesting import backfill, ingesting_days
from tests.support.rows import fetch
from tests.support.storage import Storage

pytestmark = pytest.mark.modes("plain", "apache", reason="needs connections of its own")


async def test_trim_given_old_runs_deletes_those_that_are_over(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batch by batch, with their tasks; one that is not over stays, and nothing is fetched again."""
    monkeypatch.setattr(run_trim, "_BATCH", 2)
    one = await ingesting_days(storage)
    for number in range(5):
        await one.run(backfill("A", request_id=f"run {number}"))
    waiting = await one.ingestion.starter.start(backfill("B", request_id="waits"))
    await fetch(storage, "UPDATE ingestion_run SET finished_at = finished_at - interval '40 days'")
    kept = await one.run(backfill("C", request_id="new"))
    await fetch(storage, "UPDATE ingestion_run SET state = 'queued', finished_at = NULL"
                         " WHERE request_id = 'waits'")  # fmt: skip
    assert await RunTrimmer(storage.pools, timedelta(0)).run_once() == 0
    assert await RunTrimmer(storage.pools, timedelta(days=30)).run_once() == 5
    left = await fetch(storage, "SELECT run_id FROM ingestion_run ORDER BY run_id")
    assert [row[0] for row in left] == [waiting.run_id, kept.run_id]
    tasks = await fetch(storage, "SELECT DISTINCT run_id FROM ingestion_task ORDER BY run_id")
    assert [row[0] for row in tasks] == [waiting.run_id, kept.run_id]
    assert (await one.run(backfill("A", request_id="again"))).tasks == 0
