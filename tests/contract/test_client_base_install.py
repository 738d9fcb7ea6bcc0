"""The client as another service installs it: without anything that only the server needs."""

import asyncio
import json
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.contract.known import AAPL_DAYS_US, Known


def base_install(distribution: str = "bifrost-marketdata") -> set[str]:
    """List the distributions that an install without extras brings."""
    found: set[str] = set()
    waiting = [distribution]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found.add(name)
        for line in requires(name) or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def missing_modules() -> list[str]:
    """List the top-level modules here that the base install does not bring."""
    brought = base_install()
    return [
        module
        for module, distributions in packages_distributions().items()
        if module.isidentifier() and not brought & {canonicalize_name(d) for d in distributions}
    ]


async def test_client_given_base_install_reads_bars(known: Known) -> None:
    """Both faces work; the forms that need an extra name it; errors have their classes."""
    missing = missing_modules()
    assert {"psycopg", "typer", "rich", "pydantic", "pyarrow", "pandas", "pytest"} <= set(missing)
    assert not {"grpc", "google", "numpy", "marketdata", "bifrost"} & set(missing)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.contract.base_install_caller",
        known.service.address,
        *missing,
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    found = json.loads(output)
    closes = [11.0 + row for row in range(len(AAPL_DAYS_US))]
    assert found["async"] == found["sync"] == closes
    assert found["error"] == "SYMBOL_NOT_FOUND"
    assert "bifrost-marketdata[pandas]" in found["to_pandas"]
    assert "bifrost-marketdata[arrow]" in found["to_arrow"]


def test_base_install_given_project_is_small() -> None:
    """What another service takes on by calling this one."""
    assert base_install() == {
        "bifrost-marketdata",
        "googleapis-common-protos",
        "grpcio",
        "numpy",
        "protobuf",
        "typing-extensions",
    }
