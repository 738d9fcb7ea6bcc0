"""Which storage modes the tests run in: ``--mode``, once for each, plain where nothing is said.

A test that takes the session's server (most do, through ``database``) runs once in every mode, and its
id says in which: ``test_x[plain]``, ``test_x[apache]``. One that starts servers of its own, or needs
none, has no mode; it runs beside those of plain. What holds in some modes only says so, and why:

    @pytest.mark.modes("plain", "apache", reason="two transactions at once")
"""

from typing import Final

import pytest

from marketdata.storage.modes import StorageMode

#: The fixture that stands for the session's server; whoever needs that one is run in every mode.
MODE_FIXTURE: Final = "storage_mode"
NO_MODE: Final = "no mode"
_MARKER: Final = "modes(*names, reason): the storage modes in which a test holds, and why not in others"

Left = list[tuple[str, str]]
# The server of the community edition has one session, which calls of a service take turns on. What it
# is there for (compression, aggregates, policies) is a matter of the storage layer.
_OF_SERVICES: Final = frozenset({"contract", "examples"})
_ONE_SESSION: Final = "a service's calls would take turns on one session; other modes run them"
LEFT_OUT: Final = pytest.StashKey[Left]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption(
        "--mode",
        action="append",
        choices=[mode.value for mode in StorageMode],
        help="a storage mode to run the tests in; may be given several times (default: plain)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)
    config.stash[LEFT_OUT] = []


def chosen_modes(config: pytest.Config) -> list[StorageMode]:
    """List the modes of this run, in the order of their definition."""
    names = config.getoption("--mode") or [StorageMode.PLAIN.value]
    return [mode for mode in StorageMode if mode.value in names]


def mode_of(item: pytest.Item) -> StorageMode | None:
    """Tell which mode a test is run in; None for those that have none."""
    parameters = (
        item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    )
    mode = parameters.get(MODE_FIXTURE)
    assert mode is None or isinstance(mode, StorageMode)
    return mode


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what takes the session's server once in every mode."""
    if MODE_FIXTURE in metafunc.fixturenames:
        modes = chosen_modes(metafunc.config)
        # Of the session: pytest then runs all tests of one server before those of the next.
        metafunc.parametrize(
            MODE_FIXTURE, modes, indirect=True, scope="session", ids=[mode.value for mode in modes]
        )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what does not hold in its mode, and remember why."""
    has_plain = StorageMode.PLAIN in chosen_modes(config)
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        mode = mode_of(item)
        reason = _objection(item, mode) if mode else None
        if reason is not None and mode is not None:
            config.stash[LEFT_OUT].append((mode.value, reason))
        is_kept = reason is None and (mode is not None or has_plain)
        (kept if is_kept else left).append(item)
        item.user_properties.append(("mode", mode.value if mode else NO_MODE))
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


def _objection(item: pytest.Item, mode: StorageMode) -> str | None:
    if mode is StorageMode.TIMESCALE and not _OF_SERVICES.isdisjoint(item.path.parts):
        return _ONE_SESSION
    for marker in item.iter_markers("modes"):
        unknown = set(marker.args) - {known.value for known in StorageMode}
        reason = marker.kwargs.get("reason")
        if unknown or not marker.args or not reason:
            raise pytest.UsageError(
                f"{item.nodeid}: pytest.mark.modes takes names of storage modes and a reason; "
                f"it has {marker.args!r} and {marker.kwargs!r}"
            )
        if mode.value not in marker.args:
            return str(reason)
    return None
