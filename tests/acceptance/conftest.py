"""Fixtures of the acceptance tests: folders with the sample in them, and a service that is shared."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.given import GivenServers
from tests.acceptance.processes import Outcome, Service, marketdata, serving
from tests.support.embedded import copied, reachable_folder


@pytest.fixture(scope="session")
def first_import() -> Iterator[tuple[Path, Outcome]]:
    """Import the sample into a folder that is not there yet; give the folder, and what was said."""
    with reachable_folder() as base:
        yield base / "data", marketdata(base / "data", "import", "sample")


@pytest.fixture
def sample_folder(first_import: tuple[Path, Outcome]) -> Iterator[Path]:
    """Give a data folder of the test's own with the sample in it; no server runs on it."""
    with copied(first_import[0]) as folder:
        yield folder


@pytest.fixture
def empty_folder() -> Iterator[Path]:
    """Give a data folder that is still to be made."""
    with reachable_folder() as base:
        yield base / "data"


@pytest.fixture(scope="session")
def shared(first_import: tuple[Path, Outcome]) -> Iterator[Service]:
    """Give a service with the sample that tests share: they change nothing of it."""
    with copied(first_import[0]) as folder, serving(folder, "--with-sample") as service:
        yield service


@pytest.fixture
def start() -> Iterator[Callable[..., Service]]:
    """Give a way to start services; what still runs is ended with the test."""
    with ExitStack() as stack:
        yield lambda *arguments, **variables: stack.enter_context(serving(*arguments, **variables))


@pytest.fixture(scope="module")
def given() -> Iterator[GivenServers]:
    """Give servers that an operator gives to the service, of this module's own."""
    with ExitStack() as stack:
        yield GivenServers(stack)
