"""Fixtures of the storage tests, over those of ``tests/conftest.py``."""

import pytest

from marketdata.storage import commit


@pytest.fixture(params=["arrays", "direct", "staged"])
def any_path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send few bars along each of the ways that the writer otherwise chooses by their number.

    ``direct`` is what it says where the range is empty, else it is ``staged``.
    """

    async def refuse(*_: object) -> None:
        return None

    if request.param != "arrays":
        monkeypatch.setattr(commit, "MOST_UNSTAGED_BARS", 0)
    if request.param == "staged":
        monkeypatch.setattr(commit, "commit_direct", refuse)
