"""Targets: what an operator wants kept current."""

from dataclasses import dataclass
from datetime import date

from marketdata.domain.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class NewIngestionTarget:
    """What is to be kept current.

    Attributes
    ----------
    name : str
        Unique, for people and commands: ``us-daily``.
    symbols : tuple of str
        Tickers; empty: all active symbols, also those that are created later.
    timeframes : tuple of Timeframe
        Stored ones.
    providers : tuple of str
        Where from, 1 to 5 in order: each stands in for those before it.
    history_start : date or None
        From when on history is wanted; None: none but what a batch fetches.
    """

    name: str
    symbols: tuple[str, ...]
    timeframes: tuple[Timeframe, ...]
    providers: tuple[str, ...]
    history_start: date | None = None


@dataclass(frozen=True, slots=True)
class IngestionTarget(NewIngestionTarget):
    """A target that is stored.

    Attributes
    ----------
    target_id : int
        Its number.
    created_us : int
        Unix microseconds.
    """

    target_id: int = 0
    created_us: int = 0
