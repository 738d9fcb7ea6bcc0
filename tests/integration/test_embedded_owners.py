"""A data folder between processes: left behind, adopted, refused, waited for, shared."""

import fcntl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from marketdata.errors import DatabaseSetupError, DataFolderInUseError
from marketdata.storage.embedded import (
    EmbeddedPostgres,
    ServerAddress,
    attach,
    borrowed_address,
)
from marketdata.storage.embedded import server as server_module
from marketdata.storage.embedded.pidfile import read_pidfile
from marketdata.storage.embedded.postmaster import find_postmaster
from tests.support.embedded import (
    copied,
    kill,
    made_folder,
    owned,
    query,
    reachable_folder,
    wait_until,
)


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """Make one data folder for the copies of all tests."""
    with made_folder() as folder:
        yield folder


@pytest.fixture
def folder(made: Path) -> Iterator[Path]:
    """Give a data folder with the database of a stopped server."""
    with copied(made) as folder:
        yield folder


@pytest.fixture
def empty_folder() -> Iterator[Path]:
    """Give a data folder that is still to be made."""
    with reachable_folder() as base:
        yield base / "data"


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """Give a server that runs on `folder` and is stopped at the end."""
    server = EmbeddedPostgres(folder)
    server.start()
    yield server
    server.stop()


def test_start_given_a_server_left_by_a_killed_service_adopts_it(folder: Path) -> None:
    """After a kill -9 of the service its PostgreSQL runs on, under the next one."""
    with owned(folder) as owner:
        owner.kill()
    server = EmbeddedPostgres(folder)
    address = server.start()
    assert (server.pid, address.port) == (owner.server_pid, owner.port)
    assert query(address, "SELECT 1") == [(1,)]
    server.stop()
    assert find_postmaster(owner.server_pid, folder / "pg") is None


def test_restart_given_an_adopted_server_that_dies_starts_another(folder: Path) -> None:
    """An adopted server is watched as an own one is, even when nobody reaps it."""
    with owned(folder) as owner:
        owner.kill()
    server = EmbeddedPostgres(folder)
    address = server.start()
    kill(server)
    assert server.restart_if_dead() == address
    assert server.pid != owner.server_pid
    server.stop()


def test_start_given_a_left_server_with_other_settings_replaces_it(folder: Path) -> None:
    """Settings take effect even when the killed service's PostgreSQL had others."""
    with owned(folder) as owner:
        owner.kill()
    server = EmbeddedPostgres(folder, extra_settings={"work_mem": "9MB"})
    address = server.start()
    assert server.pid != owner.server_pid
    assert query(address, "SHOW work_mem") == [("9MB",)]
    server.stop()


def test_start_given_a_left_server_that_does_not_answer_says_what_to_do(folder: Path) -> None:
    """A server that does not take the folder's password is neither adopted nor stopped."""
    with owned(folder) as owner:
        owner.kill()
    password = (folder / "password").read_text()
    (folder / "password").write_text("changed")
    with pytest.raises(DatabaseSetupError, match=f"kill -INT {owner.server_pid}"):
        EmbeddedPostgres(folder).start()
    (folder / "password").write_text(password)
    assert find_postmaster(owner.server_pid, folder / "pg") is not None


def test_start_given_a_recovery_that_takes_too_long_leaves_it_running(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ending a recovery would only make the next start begin again: that one goes on with it."""
    with owned(folder) as owner:
        owner.kill()
    pidfile = folder / "pg" / "postmaster.pid"
    ready = pidfile.read_text()
    pidfile.write_text(ready.replace("ready   ", "starting"))
    with monkeypatch.context() as patch:
        patch.setattr(server_module, "_START_SECONDS", 0.05)
        with pytest.raises(DatabaseSetupError, match=f"pid {owner.server_pid}.* still not ready"):
            EmbeddedPostgres(folder).start()
    pidfile.write_text(ready)
    server = EmbeddedPostgres(folder)
    server.start()
    assert server.pid == owner.server_pid
    server.stop()


def test_stop_given_a_start_that_waits_cuts_it_short(folder: Path) -> None:
    """Ending the service does not wait for a long recovery."""
    with owned(folder) as owner:
        owner.kill()
    pidfile = folder / "pg" / "postmaster.pid"
    ready = pidfile.read_text()
    pidfile.write_text(ready.replace("ready   ", "starting"))
    server = EmbeddedPostgres(folder)
    failures: list[Exception] = []

    def start() -> None:
        try:
            server.start()
        except DatabaseSetupError as error:
            failures.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    wait_until(lambda: server.is_owned)
    server.stop()
    thread.join(10)
    assert "being stopped" in str(failures[0])
    pidfile.write_text(ready)


def test_start_given_a_serving_owner_is_refused_with_both_ways_out(folder: Path) -> None:
    """A second service on a folder is told who has it, and how to run beside it."""
    with owned(folder) as owner:
        with pytest.raises(DataFolderInUseError) as caught:
            EmbeddedPostgres(folder).start()
        message = str(caught.value)
        assert f"'serve' (pid {owner.process.pid})" in message
        assert "MARKETDATA_DATA_DIR" in message
        assert "MARKETDATA_PORT" in message
        assert find_postmaster(owner.server_pid, folder / "pg") is not None


def test_start_given_an_owner_in_the_same_process_is_refused(server: EmbeddedPostgres) -> None:
    """Two objects of one process are two owners."""
    with pytest.raises(DataFolderInUseError):
        EmbeddedPostgres(server.folder).start()


def test_start_given_many_at_once_lets_one_own_the_folder(empty_folder: Path) -> None:
    """Services that start at the same moment on an empty folder do not make two databases."""
    servers = [EmbeddedPostgres(empty_folder) for _ in range(4)]
    gate = threading.Barrier(len(servers))

    def start(server: EmbeddedPostgres) -> bool:
        gate.wait()
        try:
            server.start()
        except DataFolderInUseError:
            return False
        return True

    with ThreadPoolExecutor(len(servers)) as pool:
        assert sorted(pool.map(start, servers)) == [False, False, False, True]
    for server in servers:
        server.stop()


def test_start_given_an_owner_without_a_name_is_refused(folder: Path) -> None:
    """The lock decides, not what the file says: a lock of an unknown program counts."""
    with (folder / "owner.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(DataFolderInUseError, match="in use by another process"):
            EmbeddedPostgres(folder, wait_seconds=0).start()


def test_start_given_a_short_command_waits_for_it(folder: Path) -> None:
    """A service that is started during an import begins when the import has ended."""
    with owned(folder, "import sample") as owner:
        with pytest.raises(DataFolderInUseError, match=r"'import sample' .* not free within 0.1 s"):
            EmbeddedPostgres(folder, wait_seconds=0.1).start()
        server = EmbeddedPostgres(folder, wait_seconds=30)
        thread = threading.Thread(target=server.start)
        thread.start()
        assert owner.process.stdin is not None
        owner.process.stdin.close()
        thread.join(30)
    assert server.is_alive()
    server.stop()


def test_attach_given_a_service_finds_its_server(folder: Path) -> None:
    """A command beside a service uses the service's database."""
    with owned(folder) as owner:
        address = attach(folder, wait_seconds=10)
        assert address is not None
        assert address.port == owner.port
        assert query(address, "SELECT current_database()") == [("marketdata",)]


def test_attach_given_no_service_is_none(folder: Path) -> None:
    """Without an owner there is nothing to attach to: not before, not after a kill -9."""
    assert attach(folder) is None
    with owned(folder) as owner:
        owner.kill()
    assert attach(folder) is None


def test_borrowed_address_given_a_service_leaves_its_server_running(folder: Path) -> None:
    """A command beside a service starts nothing and stops nothing."""
    with owned(folder) as owner:
        with borrowed_address(EmbeddedPostgres(folder, command="migrate")) as address:
            assert address.port == owner.port
        assert find_postmaster(owner.server_pid, folder / "pg") is not None


def test_borrowed_address_given_a_service_that_just_starts_waits_for_it(folder: Path) -> None:
    """A service that takes the folder before the command can is used all the same."""
    with owned(folder) as owner:
        pidfile = folder / "pg" / "postmaster.pid"
        ready = pidfile.read_text()
        pidfile.write_text(ready.replace("ready   ", "starting"))

        class LateCommand(EmbeddedPostgres):
            def start(self) -> ServerAddress:
                pidfile.write_text(ready)
                return super().start()

        with borrowed_address(LateCommand(folder, command="migrate")) as address:
            assert address.port == owner.port


def test_borrowed_address_given_no_service_runs_a_server_for_the_command(folder: Path) -> None:
    """A command without a service has a database for as long as it needs it."""
    server = EmbeddedPostgres(folder, command="migrate")
    with borrowed_address(server) as address:
        assert query(address, "SELECT 1") == [(1,)]
    assert not server.is_owned
    assert read_pidfile(folder / "pg") is None
