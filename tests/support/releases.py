"""What has to be there of a release's database after an upgrade."""

from marketdata.domain.timeframe import Timeframe
from marketdata.storage.commit import CommitResult
from tests.support.bars import Bar, days, frame_of
from tests.support.release_dump import ACTIONS, SERIES, expected_bars
from tests.support.rows import changes, latest_bars, stored_bars
from tests.support.storage import Storage


async def assert_kept(storage: Storage) -> None:
    """Every row of the first release's dump is known, and what is new goes behind its log."""
    for timeframe, bars in SERIES.items():
        expected = expected_bars(timeframe)
        assert await stored_bars(storage, timeframe) == expected
        newest = {bar.symbol: bar for bar in expected}
        assert await latest_bars(storage, timeframe) == list(newest.values())
        # What it had is known as it is, and what is new goes behind the last entry of the log.
        assert await storage.writer.commit_bars(frame_of(bars[:2]), timeframe) == CommitResult(
            unchanged=2
        )
    log = await changes(storage)
    assert [change.seq for change in log] == list(range(1, 9))
    assert [change.kind for change in log] == ["symbol", "action", *["bars"] * 6]
    assert [bar.revision for change in log[3::2] for bar in change.bars or []] == [1, 1, 1]
    assert (await storage.symbols.get("FB")).symbol == "META"
    assert (await storage.actions.add("AAPL", ACTIONS)).accepted == 0
    result = await storage.writer.commit_bars(frame_of([Bar("AAPL", days(20_000))]), Timeframe.DAY_1)
    assert result == CommitResult(accepted=1, seq=9)
