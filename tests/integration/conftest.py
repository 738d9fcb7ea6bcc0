"""Fixtures of the storage tests, over those of ``tests/conftest.py``."""

import pytest

from marketdata.storage import commit


@pytest.fixture(params=["few", "many"])
def any_path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send few bars along both of the ways that the writer otherwise chooses by their number."""
    if request.param == "many":
        monkeypatch.setattr(commit, "FEW_BARS", 0)
