"""Calls the service with nothing but the base install; run as a program of its own.

Arguments: the service's address, and the top-level modules that the base install does not bring, which
are then not found.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# Parts of our own package that belong to the server.
_SERVER: frozenset[str] = frozenset(
    f"marketdata.{part}"
    for part in ("app", "cli", "config", "ingestion", "providers", "rpc", "servicers", "storage")
)


class BaseInstallOnly(MetaPathFinder):
    """Finds nothing that the base install does not bring."""

    def __init__(self, missing: Sequence[str]) -> None:
        self._missing = frozenset(missing)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Refuse what is missing; leave the rest to others."""
        if fullname.partition(".")[0] in self._missing or fullname in _SERVER:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


def _call(address: str) -> dict[str, object]:
    from marketdata.client import MarketDataClient, SyncMarketDataClient  # noqa: PLC0415
    from marketdata.errors import SymbolNotFoundError  # noqa: PLC0415

    async def close() -> list[float]:
        async with MarketDataClient(address) as client:
            closes: list[float] = (await client.bars("AAPL", "1d")).close.tolist()
            return closes

    found: dict[str, object] = {"async": asyncio.run(close())}
    with SyncMarketDataClient(address) as client:
        bars = client.bars("AAPL", "1d")
        found["sync"] = bars.to_numpy()["close"].tolist()
        for form in (bars.to_pandas, bars.to_arrow):
            try:
                form()
            except ImportError as error:
                found[form.__name__] = str(error)
        try:
            client.get_symbol("NOPE")
        except SymbolNotFoundError as error:
            found["error"] = error.reason
    return found


if __name__ == "__main__":
    sys.meta_path.insert(0, BaseInstallOnly(sys.argv[2:]))
    print(json.dumps(_call(sys.argv[1])))  # noqa: T201
