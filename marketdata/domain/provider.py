"""Providers as people and requests see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from marketdata.domain.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class ProviderDescription:
    """A provider, whether it can be used, and what for.

    Attributes
    ----------
    name, title : str
        As requests spell it; the company and its product, for people.
    problem : str
        Why it cannot be used, and what to do; empty where it can.
    feeds : mapping of Timeframe to str
        The feed of each timeframe that it has.
    history : mapping of Timeframe to timedelta or None
        How far back from now each reaches; None: as far as there are bars.
    has_actions, has_company : bool
        Whether it tells corporate actions, and facts of companies.
    calls_a_minute, calls_a_day : int or None
        Its limits; None where there is no such limit.
    terms : str
        What its terms allow, with the page that says so.
    has_listings : bool
        Whether it states what is listed and what was delisted.
    """

    name: str
    title: str
    problem: str = ""
    feeds: Mapping[Timeframe, str] = field(default_factory=dict)
    history: Mapping[Timeframe, timedelta | None] = field(default_factory=dict)
    has_actions: bool = False
    has_company: bool = False
    calls_a_minute: int | None = None
    calls_a_day: int | None = None
    terms: str = ""
    has_listings: bool = False
