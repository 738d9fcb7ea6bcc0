"""One owner's PostgreSQL over its life: made, started, killed, started again."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from marketdata.errors import DatabaseSetupError
from marketdata.storage.embedded import (
    EmbeddedPostgres,
)
from marketdata.storage.embedded import postmaster as postmaster_module
from marketdata.storage.embedded import server as server_module
from marketdata.storage.embedded.account import current_account
from marketdata.storage.embedded.binaries import find_binaries
from marketdata.storage.embedded.pidfile import read_pidfile
from marketdata.storage.embedded.server_log import ServerLog
from tests.support.embedded import (
    copied,
    kill,
    made_folder,
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


def claim(folder: Path, pid: int) -> None:
    """Write another pid into the postmaster.pid that a killed server left."""
    path = folder / "pg" / "postmaster.pid"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([f"{pid}\n", *lines[1:]]))


def test_start_given_an_empty_folder_makes_the_database_and_finds_it_again(
    empty_folder: Path,
) -> None:
    """Data, port and password of the first start are those of the second."""
    server = EmbeddedPostgres(empty_folder)
    first = server.start()
    query(first, "CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    assert not server.is_alive()
    second = server.start()
    assert second == first
    assert query(second, "SELECT answer FROM kept") == [(42,)]
    server.stop()


def test_start_given_settings_has_durability_text_and_time_as_the_service_needs(
    server: EmbeddedPostgres,
) -> None:
    """Writes are durable, text is UTF-8 sorted by bytes, time is UTC, pages have checksums."""
    names = "fsync full_page_writes synchronous_commit data_checksums server_encoding TimeZone"
    shown = [query(server.address, f"SHOW {name}")[0][0] for name in names.split()]
    assert shown == ["on", "on", "on", "on", "UTF8", "UTC"]
    assert query(server.address, "SELECT 'B' < 'a', upper('ä')") == [(True, "Ä")]


def test_start_given_any_client_asks_for_the_password(server: EmbeddedPostgres) -> None:
    """Neither no password nor a wrong one opens the database."""
    assert server.address is not None
    for password in ("", "wrong"):
        with pytest.raises(psycopg.OperationalError):
            query(replace(server.address, password=password), "SELECT 1")


def test_start_given_passwords_keeps_them_from_everybody_else(
    server: EmbeddedPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is long, in one private file, and in no command line, environment or log."""
    assert server.address is not None
    passwords = {
        "password": server.address.password,
        "service_password": server.address.for_service().password,
    }
    shown = [repr(server.address), caplog.text, (server.folder / "postgres.log").read_text()]
    for process in Path("/proc").glob("[0-9]*"):
        # Any process can end while it is looked at.
        with suppress(OSError):
            shown.append((process / "cmdline").read_text(errors="replace"))
    shown.append(Path(f"/proc/{server.pid}/environ").read_text())
    assert len(set(passwords.values())) == 2
    for name, password in passwords.items():
        file = server.folder / name
        assert file.read_text() == password
        assert len(password) >= 32
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert not [text for text in shown if password in text]


def test_start_given_a_terminal_is_out_of_reach_of_its_signals(server: EmbeddedPostgres) -> None:
    """PostgreSQL leads its own session, so Ctrl-C ends the service and not the database."""
    assert server.pid is not None
    assert os.getsid(server.pid) == server.pid


def test_start_given_extra_settings_runs_with_them(folder: Path) -> None:
    """A library that has to be preloaded is."""
    settings = {"shared_preload_libraries": "pg_stat_statements"}
    server = EmbeddedPostgres(folder, extra_settings=settings)
    try:
        query(server.start(), "CREATE EXTENSION pg_stat_statements")
        assert query(server.address, "SELECT count(*) > 0 FROM pg_stat_statements") == [(True,)]
    finally:
        server.stop()


def test_start_given_a_setting_that_postgres_refuses_says_so_and_lets_go(folder: Path) -> None:
    """The end of PostgreSQL's log is in the message, and the folder can be used again."""
    broken = EmbeddedPostgres(folder, extra_settings={"work_mem": "plenty"})
    with pytest.raises(DatabaseSetupError, match=r'(?s)start again.*"work_mem"'):
        broken.start()
    assert not broken.is_owned
    good = EmbeddedPostgres(folder)
    good.start()
    good.stop()


def test_start_given_a_database_without_durability_refuses_it(server: EmbeddedPostgres) -> None:
    """A setting stored in the database cannot make acknowledged writes unsafe."""
    query(server.address, "ALTER DATABASE marketdata SET synchronous_commit = off")
    server.stop()
    with pytest.raises(DatabaseSetupError, match="synchronous_commit=off"):
        server.start()
    assert not server.is_owned
    assert read_pidfile(server.folder / "pg") is None


def test_start_given_its_port_taken_takes_another(server: EmbeddedPostgres) -> None:
    """The remembered port is a wish: another program's claim to it does not stop the service."""
    first = server.address
    server.stop()
    assert first is not None
    with socket.create_server((first.host, first.port)):
        second = server.start()
        assert second.port != first.port
        assert query(second, "SELECT 1") == [(1,)]
    server.stop()
    assert server.start().port == second.port


def test_start_given_a_killed_initdb_begins_anew(empty_folder: Path) -> None:
    """What an interrupted first start left is removed, and passes for a database at no time."""
    half = empty_folder / "initdb_killed" / "pg_C.UTF-8"
    half.mkdir(parents=True)
    empty_folder.chmod(0o755)
    (half / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(empty_folder)
    server.start()
    server.stop()
    assert not list(empty_folder.glob("initdb_*"))


def test_start_given_a_lost_password_says_how_to_set_one(server: EmbeddedPostgres) -> None:
    """The password is not made anew beside a database that has another one."""
    server.stop()
    (server.folder / "password").unlink()
    with pytest.raises(DatabaseSetupError, match="ALTER ROLE postgres PASSWORD"):
        server.start()


def test_restart_given_a_killed_postmaster_keeps_every_committed_row(
    server: EmbeddedPostgres,
) -> None:
    """What was acknowledged before a kill -9 is there after it, at the same address."""
    before = server.address
    query(before, "CREATE TABLE kept AS SELECT generate_series(1, 20000) AS row")
    kill(server)
    assert server.restart_if_dead() == before
    assert query(before, "SELECT count(*) FROM kept") == [(20000,)]
    assert server.restart_if_dead() is None


def test_restart_given_a_backend_that_outlives_its_postmaster_ends_it(
    server: EmbeddedPostgres,
) -> None:
    """A calculation that does not notice the death cannot keep the database down."""
    address = server.address
    endless = "DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$"

    def calculate() -> None:
        with suppress(psycopg.OperationalError):
            query(address, endless)

    thread = threading.Thread(target=calculate)
    thread.start()
    running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'DO %'"
    wait_until(lambda: query(address, running) == [(1,)])
    kill(server)
    assert server.restart_if_dead() is not None
    thread.join(10)
    assert not thread.is_alive()
    assert query(server.address, "SELECT 1") == [(1,)]


def test_restart_given_a_pid_that_is_now_another_programs_leaves_it_alone(
    server: EmbeddedPostgres,
) -> None:
    """A left-over postmaster.pid neither stops the start nor gets its process killed."""
    account = current_account()
    kill(server)
    # The same account: PostgreSQL itself already looks past pids of others.
    other = subprocess.Popen(["sleep", "600"], user=account.uid if account.is_switched else None)
    try:
        claim(server.folder, other.pid)
        assert server.restart_if_dead() is not None
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_restart_given_a_pid_of_another_folders_server_leaves_it_alone(
    server: EmbeddedPostgres,
) -> None:
    """A postmaster is only followed when it works on this very folder."""
    other = EmbeddedPostgres(server.folder.with_name("other"))
    other.start()
    try:
        kill(server)
        shutil.copyfile(other.folder / "pg/postmaster.pid", server.folder / "pg/postmaster.pid")
        address = server.restart_if_dead()
        assert address is not None
        assert other.address is not None
        assert address.port != other.address.port
        assert other.is_alive()
    finally:
        other.stop()


def test_start_given_a_database_that_takes_no_connections_lets_go(server: EmbeddedPostgres) -> None:
    """A server whose database cannot be used is not left running as if it could."""
    assert server.address is not None
    query(server.address.for_maintenance(), "ALTER DATABASE marketdata ALLOW_CONNECTIONS false")
    server.stop()
    with pytest.raises(DatabaseSetupError, match="could not be prepared"):
        server.start()
    assert not server.is_owned
    assert read_pidfile(server.folder / "pg") is None


def test_start_given_a_standalone_backend_does_not_run_beside_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL's own maintenance mode has the database to itself, and is told about."""
    monkeypatch.setattr(server_module, "_BUSY_SECONDS", 0.3)
    account = current_account()
    program = find_binaries(None, account, folder.parent).program("postgres")
    with subprocess.Popen(
        [program, "--single", "-D", folder / "pg", "postgres"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=account.uid if account.is_switched else None,
    ) as single:
        wait_until((folder / "pg" / "postmaster.pid").exists)
        with pytest.raises(DatabaseSetupError, match="still use"):
            EmbeddedPostgres(folder).start()
        assert single.poll() is None


def test_stop_given_a_server_that_does_not_react_ends_it(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped process answers no signal but the last one; the folder is free afterwards."""
    stages = [(number, 0.1) for number in (signal.SIGINT, signal.SIGQUIT)]
    monkeypatch.setattr(postmaster_module, "_STOP_STAGES", (*stages, (signal.SIGKILL, 10.0)))
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    server.stop()
    assert not server.is_owned
    assert query(server.start(), "SELECT 1") == [(1,)]


def test_trim_log_given_a_running_server_bounds_the_file(server: EmbeddedPostgres) -> None:
    """The log is cut under the running server, which goes on writing into it."""
    path = server.folder / "postgres.log"
    log = ServerLog(path, max_bytes=1)
    log.trim()
    assert log.size() == 0
    assert b"ready to accept connections" in path.with_name("postgres.log.1").read_bytes()
    with pytest.raises(psycopg.errors.UndefinedTable):
        query(server.address, "SELECT 1 FROM after_the_trim")
    wait_until(lambda: path.read_text().count("after_the_trim") > 0)
    assert "\0" not in path.read_text()
