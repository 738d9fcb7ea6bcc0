"""What ingestion is made of, put together once a process."""

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from marketdata.clock import Clock
from marketdata.domain.ingestion_run import ProviderWait
from marketdata.domain.provider import ProviderDescription
from marketdata.ingestion.page_checker import QualityCheckers
from marketdata.ingestion.pipeline import Pipeline
from marketdata.ingestion.reference_pipeline import ReferencePipeline
from marketdata.ingestion.run_executor import ExecutorTimes, RunExecutor
from marketdata.ingestion.run_starter import RunStarter
from marketdata.ingestion.target_checker import TargetChecker
from marketdata.providers.protocol import Provider
from marketdata.storage.action_updates import ActionUpdater
from marketdata.storage.actions import ActionStore
from marketdata.storage.companies import CompanyStore
from marketdata.storage.ingestion.claims import RunClaims
from marketdata.storage.ingestion.runs import RunStore
from marketdata.storage.ingestion.targets import TargetStore
from marketdata.storage.intake import BarIntake
from marketdata.storage.pools import Pools
from marketdata.storage.symbol_status import StatusKeeper

# A claim is kept three times within its lease, so that two lost renewals are no harm.
_RENEWALS_A_LEASE: Final = 3
# A cancelled run is noticed when its claim is kept: soon, also where leases are long.
_MOST_RENEW_SECONDS: Final = 1.0


class Providers(Protocol):
    """The providers of this process."""

    def get(self, name: str) -> Provider:
        """Find one by its name.

        Raises
        ------
        InvalidRequestError
            There is no such provider.
        ProviderNotReadyError
            It lacks a setting.
        """
        ...

    def describe(self) -> Sequence[ProviderDescription]:
        """List all of them, by name."""
        ...

    def find(self, name: str) -> ProviderDescription | None:
        """Describe one by its name, also one that lacks a setting; None where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Ingestion:
    """The parts that others use.

    Attributes
    ----------
    runs : RunStore
        Keeps runs.
    starter : RunStarter
        Starts them.
    executor : RunExecutor
        Executes them in this process.
    providers : Providers
        Where bars come from.
    targets : TargetStore
        Keeps what is to be kept current.
    target_checker : TargetChecker
        Checks new targets.
    """

    runs: RunStore
    starter: RunStarter
    executor: RunExecutor
    providers: Providers
    targets: TargetStore
    target_checker: TargetChecker


def build_ingestion(
    pools: Pools,
    intake: BarIntake,
    actions: ActionStore,
    providers: Providers,
    waits_of: Callable[[str], Sequence[ProviderWait]],
    clock: Clock,
    lease_seconds: float,
) -> Ingestion:
    """Put ingestion together.

    Parameters
    ----------
    lease_seconds : float
        How long after the last sign of life of a process its runs are taken over.
    """
    runs = RunStore(pools)
    claims = RunClaims(pools, lease_owner(), timedelta(seconds=lease_seconds))
    checkers = QualityCheckers(pools, actions, claims, clock)
    times = ExecutorTimes(
        poll_seconds=min(lease_seconds, _MOST_RENEW_SECONDS),
        renew_seconds=renew_seconds(lease_seconds),
    )
    executor = RunExecutor(
        claims,
        runs,
        Pipeline(claims, intake, checkers.make),
        ReferencePipeline(
            claims, ActionUpdater(pools), CompanyStore(pools), StatusKeeper(pools), clock
        ),
        providers.get,
        waits_of,
        times,
    )
    starter = RunStarter(runs, providers.get, providers.find, clock, executor.wake)
    checker = TargetChecker(runs.identities, providers.find)
    return Ingestion(runs, starter, executor, providers, TargetStore(pools), checker)


def lease_owner() -> str:
    """Name this process, for people who look at who has a lease."""
    return f"{socket.gethostname()}/{os.getpid()}"


def renew_seconds(lease_seconds: float) -> float:
    """Tell how often a lease is renewed."""
    return min(lease_seconds / _RENEWALS_A_LEASE, _MOST_RENEW_SECONDS)
