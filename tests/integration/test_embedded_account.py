"""How programs are started as PostgreSQL's account."""

import ctypes
import os
import subprocess
from typing import Final

import pytest

from marketdata.storage.embedded.account import current_account

_forks: list[int] = []


def _count() -> None:
    _forks.append(os.getpid())


# It is called at each fork as long as the process lives, so it lives as long.
_COUNT: Final = ctypes.CFUNCTYPE(None)(_count)


@pytest.fixture(scope="module", autouse=True)
def counted() -> None:
    """Note every fork of this process from here on, as gRPC does."""
    register = ctypes.CDLL(None)["__register_atfork"]
    assert register(_COUNT, None, None, None) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another account")
def test_run_given_root_runs_as_nobody_alone() -> None:
    """User, group and no further group are those of the account."""
    account = current_account()
    told = account.run(["sh", "-c", "id -u; id -g; id -G; pwd; env | sort"], timeout_seconds=10).stdout
    ids = f"{account.uid}\n{account.gid}\n{account.gid}\n/\n"
    assert told.startswith(ids)
    assert {line.partition("=")[0] for line in told.removeprefix(ids).splitlines()} <= {
        "LC_ALL",
        "PATH",
        "PWD",
        "TZ",
        "_",
    }


def test_run_given_handlers_of_forks_runs_none_of_them() -> None:
    """They would run beside threads that hold locks, and now and then end the child."""
    before = len(_forks)
    assert current_account().run(["true"], timeout_seconds=10).returncode == 0
    assert len(_forks) == before
    # The count works: a change of the account by Python forks.
    subprocess.run(["true"], check=True, preexec_fn=lambda: None)
    assert len(_forks) == before + 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another account")
def test_run_given_a_program_that_is_not_there_answers_127() -> None:
    """Who switches the account says that it is missing."""
    assert current_account().run(["/nowhere/postgres"], timeout_seconds=10).returncode == 127
