"""What ``scripts/provision`` gets for the tests: TimescaleDB servers, and clocks of programs."""

import os
import subprocess
from pathlib import Path
from typing import Final, NoReturn

import pytest

REPOSITORY: Final = Path(__file__).parents[3]
# The first time it downloads about 100 MB.
_PROVISION_SECONDS: Final = 600


class NotProvisionedError(Exception):
    """What is to be provided cannot be had on this machine; the text says what is missing."""


def provisioned(kind: str) -> Path:
    """Give the folder of a server or library, made now where it is missing.

    Parameters
    ----------
    kind : str
        What ``scripts/provision`` calls it: ``apache``, ``timescale`` or ``faketime``.

    Raises
    ------
    NotProvisionedError
        The machine lacks something, or a package cannot be fetched.
    """
    done = subprocess.run(
        [REPOSITORY / "scripts" / "provision", kind],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_PROVISION_SECONDS,
    )
    if done.returncode != 0:
        raise NotProvisionedError(
            done.stderr.strip() or f"scripts/provision ended with {done.returncode}"
        )
    return Path(done.stdout.strip())


def skip_or_fail(error: NotProvisionedError) -> NoReturn:
    """Skip what needs it and say why; in CI, where everything has to be there, fail."""
    if os.environ.get("CI", "") not in ("", "0", "false"):
        pytest.fail(str(error), pytrace=False)
    pytest.skip(str(error))
