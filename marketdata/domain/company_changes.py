"""What a provider's answer changes of the facts of a company: pure.

What it does not tell erases nothing, what is older than what is stored changes nothing, and what a
person said stands: words until they are cleared by hand, figures until a provider tells them of a later
day.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, timedelta
from typing import Any, Final

from marketdata.domain.company import Company, CompanyFacts, FactOrigin
from marketdata.domain.symbol import BY_HAND

_NOTHING: Final = CompanyFacts()
_WORDS: Final = ("name", "sector", "industry", "ipo_date")
# A market cap is nothing without its currency: they come and go together.
_FIGURES: Final = (("employees",), ("shares_outstanding",), ("market_cap", "currency"))
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
# As UpdateCompany allows.
_MOST_CHARACTERS: Final = {"name": 200, "sector": 100, "industry": 100}
_MOST_EMPLOYEES: Final = 2**63 - 1
# Clocks and zones: what is from further ahead is a mistake, and would keep later answers out.
_AHEAD: Final = timedelta(days=1)


@dataclass(slots=True)
class FactChanges:
    """What is to be done with an answer.

    Attributes
    ----------
    facts : CompanyFacts
        To be stored; what was stored where nothing changes.
    origins : dict of str to FactOrigin
        Of the known ones.
    new, changed, unchanged, kept : list of str
        Names of the facts that were told: not known before; known otherwise; known as they are; left as
        they are since they were said by hand or of a later day.
    remarks : list of str
        What a person should know.
    """

    facts: CompanyFacts
    origins: dict[str, FactOrigin]
    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def told(self) -> int:
        """How many facts were told."""
        return len(self.new) + len(self.changed) + len(self.unchanged) + len(self.kept)


def merge_facts(stored: Company, told: CompanyFacts, source: str, today: date) -> FactChanges:
    """Compare an answer with what is stored.

    Parameters
    ----------
    told : CompanyFacts
        The answer.
    source : str
        The provider.
    today : date
        Its day, where it does not tell one.
    """
    changes = FactChanges(stored.facts, dict(stored.origins))
    told = _possible(told, today, changes)
    day = told.as_of or today
    known_of = stored.facts.as_of
    if known_of is not None and day < known_of:
        changes.kept += _told_names(told)
        changes.remarks.append(f"{source} tells facts of {day}, older than those of {known_of}")
        return changes
    for name in _WORDS:
        _merge((name,), told, FactOrigin(source, day), changes, is_word=True)
    # Alone a currency says what the market cap will be in.
    has_cap = told.market_cap is not None or stored.facts.market_cap is not None
    for names in _FIGURES if has_cap else (*_FIGURES[:2], ("currency",)):
        _merge(names, told, FactOrigin(source, day), changes, is_word=False)
    _move_day(told, day, changes)
    return changes


def origins_by_hand(
    before: CompanyFacts, after: CompanyFacts, origins: Mapping[str, FactOrigin], day: date
) -> dict[str, FactOrigin]:
    """Note whose the facts are after a person has changed some; what was cleared is nobody's."""
    changed = [name for name in _names() if getattr(before, name) != getattr(after, name)]
    kept = {name: origin for name, origin in origins.items() if name not in changed}
    said = {name: FactOrigin(BY_HAND, day) for name in changed if _is_known(after, name)}
    return kept | said


def _merge(
    names: tuple[str, ...],
    told: CompanyFacts,
    origin: FactOrigin,
    changes: FactChanges,
    *,
    is_word: bool,
) -> None:
    first = names[0]
    if not _is_known(told, first):
        return
    values = {name: getattr(told, name) for name in names if _is_known(told, name)}
    if all(getattr(changes.facts, name) == value for name, value in values.items()):
        changes.unchanged.append(first)
        return
    by_hand = [
        changes.origins[name]
        for name in names
        if name in changes.origins and changes.origins[name].source == BY_HAND
    ]
    if by_hand and (is_word or origin.day <= max(said.day for said in by_hand)):
        changes.kept.append(first)
        return
    (changes.changed if _is_known(changes.facts, first) else changes.new).append(first)
    changes.facts = replace(changes.facts, **values)
    changes.origins |= dict.fromkeys(values, origin)


def _move_day(told: CompanyFacts, day: date, changes: FactChanges) -> None:
    """Let `as_of` be the day of the figures, where one of them is the provider's."""
    figures = {names[0] for names in _FIGURES}
    is_changed = bool(figures & {*changes.new, *changes.changed})
    # The same figures of a later day: worth telling only where the provider itself says so.
    is_confirmed = told.as_of is not None and bool(figures & {*changes.unchanged})
    if is_changed or is_confirmed:
        changes.facts = replace(changes.facts, as_of=day)


def _possible(told: CompanyFacts, today: date, changes: FactChanges) -> CompanyFacts:
    """Leave out what cannot be stored, or cannot be."""
    wrong = [name for name in _MOST_CHARACTERS if not _is_text(getattr(told, name), name)]
    wrong += [
        name
        for name in ("market_cap", "shares_outstanding")
        if (value := getattr(told, name)) is not None and not (math.isfinite(value) and value > 0)
    ]
    if told.employees is not None and not 0 <= told.employees <= _MOST_EMPLOYEES:
        wrong.append("employees")
    if told.currency and _CURRENCY.fullmatch(told.currency) is None:
        wrong += ["currency", "market_cap"]
    if told.as_of is not None and told.as_of > today + _AHEAD:
        wrong.append("as_of")
    wrong = list(dict.fromkeys(wrong))
    if wrong:
        changes.remarks.append(f"{', '.join(wrong)} was left out: the provider's value cannot be")
    return replace(told, **{name: getattr(_NOTHING, name) for name in wrong})


def _is_text(text: str, name: str) -> bool:
    return len(text) <= _MOST_CHARACTERS[name] and "\0" not in text


def _told_names(told: CompanyFacts) -> Iterable[str]:
    units = [(name,) for name in _WORDS] + list(_FIGURES)
    return [names[0] for names in units if _is_known(told, names[0])]


def _is_known(facts: CompanyFacts, name: str) -> bool:
    value: Any = getattr(facts, name)
    return bool(value != getattr(_NOTHING, name))


def _names() -> list[str]:
    return [each.name for each in fields(CompanyFacts) if each.name != "as_of"]
