"""What docs/providers.md shows is what works."""

import re
from datetime import date
from pathlib import Path

from marketdata.clock import ManualClock
from marketdata.domain.symbol import Symbol
from marketdata.domain.timeframe import Timeframe
from marketdata.providers.files.provider import FilesProvider
from marketdata.providers.protocol import BarsRequest
from tests.support.sessions import dates_between, local_us

_DOCS = Path(__file__).parents[2] / "docs" / "providers.md"


def _example(name: str) -> str:
    """Take the text of a file that the docs show."""
    found = re.search(
        rf"`{re.escape(name)}`[^\n]*:\n\n```csv\n(.*?)```", _DOCS.read_text("utf-8"), re.DOTALL
    )
    assert found
    return found[1]


async def test_docs_given_the_folder_of_the_example_are_read_as_they_say(tmp_path: Path) -> None:
    """The file of bars and that of corporate actions, word for word."""
    (tmp_path / "1d").mkdir()
    for name in ("1d/AAPL.csv", "actions.csv"):
        (tmp_path / name).write_text(_example(name), "utf-8")
    provider = FilesProvider(tmp_path, ManualClock(local_us("2024-11-27 10:05")))
    apple = Symbol("AAPL", venue="XNAS")

    request = BarsRequest(apple, Timeframe.DAY_1, dates_between("2012-03-01", "2012-03-03"))
    (page,) = [page async for page in provider.fetch_bars(request)]
    actions = await provider.fetch_actions(apple, date(2012, 1, 1), date(2015, 1, 1))
    await provider.aclose()

    assert page.frame.close.tolist() == [544.47, 545.18]
    assert [action.split_ratio or action.cash_amount for action in actions] == [2.65, 7]
