"""Where and with what a run took place."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tests.benchmarks.setting import Setting

_PACKAGES: Final = (
    *("grpcio", "protobuf", "numpy", "psycopg"),
    *(
        "pyarrow",
        "fastapi",
        "uvicorn",
        "uvloop",
        "sqlalchemy",
        "asyncpg",
        "pydantic",
        "httpx",
        "orjson",
    ),
)


def describe(setting: Setting) -> dict[str, str]:
    """Tell the machine and the versions, for the report."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "processor": f"{_first('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "memory": _first("/proc/meminfo", "MemTotal"),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgresql": _run(str(setting.program("postgres")), "--version").removeprefix("postgres "),
        "packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "load average": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def _commit() -> str:
    commit = _run("git", "rev-parse", "--short", "HEAD")
    return f"{commit} and changes" if _run("git", "status", "--porcelain") else commit


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def _first(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "unknown"
