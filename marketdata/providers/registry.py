"""All providers by name: those that can be used, and what the others lack.

A new adapter adds an entry to `_entries`; see docs/providers.md.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from marketdata.clock import Clock
from marketdata.domain.provider import ProviderDescription
from marketdata.errors import FieldViolation, InvalidRequestError, ProviderNotReadyError
from marketdata.providers.alpha_vantage import plan as alpha_vantage
from marketdata.providers.alpha_vantage.adapter import AlphaVantageProvider
from marketdata.providers.alpha_vantage.messages import QUOTA_ZONE
from marketdata.providers.files import provider as files
from marketdata.providers.http.assembly import Surroundings
from marketdata.providers.iex import alpaca, tiingo
from marketdata.providers.options import ProviderOptions
from marketdata.providers.protocol import Capabilities, Limits, Provider, Quota, Waits
from marketdata.providers.yahoo import provider as yahoo
from marketdata.providers.yahoo.assembly import make_yahoo

#: A name for the prints of IEX, from whom there are keys for: Alpaca before Tiingo, which ranks lower.
IEX: Final = "iex"
#: Whose midnight begins the day of a provider that counts calls a day.
QUOTA_ZONES: Final[Mapping[str, str]] = {alpha_vantage.NAME: QUOTA_ZONE.key}


@dataclass(frozen=True, slots=True)
class _Entry:
    """One provider: what it can do, what it lacks, and how it is made."""

    capabilities: Capabilities
    limits: Limits
    missing: tuple[str, ...]
    make: Callable[[], Provider]

    def problem(self) -> str:
        """Say why it cannot be used; empty where it can."""
        if not self.missing:
            return ""
        return f"set {' and '.join(self.missing)}; docs/providers.md says more"


class ProviderCatalog:
    """The providers of a process, made when they are first asked for.

    Parameters
    ----------
    entries : sequence
        One for each provider.
    """

    def __init__(self, entries: Sequence[_Entry]) -> None:
        self._entries = {entry.capabilities.name: entry for entry in entries}
        self._made: dict[str, Provider] = {}

    def get(self, name: str) -> Provider:
        """Find a provider by its name, or by ``iex``.

        Raises
        ------
        InvalidRequestError
            There is none of that name.
        ProviderNotReadyError
            It lacks a setting; says which.
        """
        found = self._resolve(name)
        entry = self._entries.get(found)
        if entry is None:
            known = ", ".join(sorted([*self._entries, IEX]))
            raise InvalidRequestError(
                violations=[
                    FieldViolation(
                        "provider", "UNKNOWN_PROVIDER", f"{name!r} is no provider; there is {known}"
                    )
                ]
            )
        if entry.missing:
            raise ProviderNotReadyError(
                f"{name} cannot be used: {entry.problem()}", metadata={"provider": found}
            )
        if found not in self._made:
            self._made[found] = entry.make()
        return self._made[found]

    def describe(self) -> Sequence[ProviderDescription]:
        """List all providers by name, also those that cannot be used."""
        return [_description(self._entries[name]) for name in sorted(self._entries)]

    def find(self, name: str) -> ProviderDescription | None:
        """Describe a provider by its name, or by ``iex``, also one that cannot be used.

        Returns
        -------
        ProviderDescription or None
            None where there is none of that name.
        """
        entry = self._entries.get(self._resolve(name))
        return None if entry is None else _description(entry)

    async def aclose(self) -> None:
        """Close every provider that was made, whatever becomes of the others; none is used after it."""
        async with AsyncExitStack() as stack:
            for provider in self._made.values():
                stack.push_async_callback(provider.aclose)

    def _resolve(self, name: str) -> str:
        if name != IEX:
            return name
        ready = [other for other in (alpaca.NAME, tiingo.NAME) if not self._entries[other].missing]
        return ready[0] if ready else alpaca.NAME


def build_providers(
    options: ProviderOptions, quota: Quota, waits: Waits, clock: Clock
) -> ProviderCatalog:
    """Make the catalog of all providers; no connection is made yet.

    Parameters
    ----------
    options : ProviderOptions
        Keys, plans and addresses.
    quota : Quota
        Counts calls a day.
    waits : Waits
        Is told what waits.
    clock : Clock
        The time of day.
    """
    return ProviderCatalog(_entries(options, Surroundings(quota, waits, clock)))


def _entries(options: ProviderOptions, around: Surroundings) -> list[_Entry]:
    return [
        _alpha_vantage(options, around),
        _Entry(
            alpaca.CAPABILITIES,
            alpaca.limits_of(options.alpaca_calls_a_minute),
            _missing(
                {
                    alpaca.KEY_SETTING: options.alpaca_key_id,
                    alpaca.SECRET_SETTING: options.alpaca_secret_key,
                }
            ),
            lambda: alpaca.AlpacaProvider(
                options.alpaca_key_id,
                options.alpaca_secret_key,
                options.alpaca_calls_a_minute,
                around,
                options.alpaca_url,
            ),
        ),
        _Entry(
            tiingo.CAPABILITIES,
            tiingo.LIMITS,
            _missing({tiingo.TOKEN_SETTING: options.tiingo_token}),
            lambda: tiingo.TiingoProvider(options.tiingo_token, around, options.tiingo_url),
        ),
        _Entry(yahoo.CAPABILITIES, yahoo.LIMITS, (), lambda: make_yahoo(around)),
        _Entry(
            files.CAPABILITIES,
            files.LIMITS,
            _missing({files.FOLDER_SETTING: options.files_dir}),
            lambda: files.FilesProvider(Path(options.files_dir), around.clock),
        ),
    ]


def _alpha_vantage(options: ProviderOptions, around: Surroundings) -> _Entry:
    plan = alpha_vantage.Plan(
        options.alpha_vantage_calls_a_day or None, options.alpha_vantage_calls_a_minute
    )
    return _Entry(
        plan.capabilities,
        plan.limits,
        _missing({alpha_vantage.KEY_SETTING: options.alpha_vantage_api_key}),
        lambda: AlphaVantageProvider(
            options.alpha_vantage_api_key, plan, around, options.alpha_vantage_url
        ),
    )


def _missing(settings: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for name, value in settings.items() if not value)


def _description(entry: _Entry) -> ProviderDescription:
    can, allows = entry.capabilities, entry.limits
    return ProviderDescription(
        name=can.name,
        title=can.title,
        problem=entry.problem(),
        feeds=can.feeds,
        history=can.history,
        has_actions=can.has_actions,
        has_company=can.has_company,
        calls_a_minute=allows.calls_a_minute,
        calls_a_day=allows.calls_a_day,
        terms=can.terms,
        has_listings=can.has_listings,
    )
