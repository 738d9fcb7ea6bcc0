"""What a provider's answer changes of the corporate actions that are stored: pure.

What is stored in the end depends on what providers tell, and not on the order in which they are asked:
of several that tell of one event the highest-ranked has the say, and later answers of its own correct
it. Nothing is deleted. Whether an action can be applied to prices is judged on read, where it is
reported if it cannot (`action_rules`).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby
from typing import Final

from marketdata.domain.action_rules import sift_actions
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind

#: Who told what people told: nobody outranks them.
BY_HAND: Final = ""

# Yahoo's 32-bit floats, of which splits are undone, move by less with each split; a correction that
# matters to a price does not.
_TOLERANCE: Final = 1e-4

EventKey = tuple[CorporateActionKind, date]


@dataclass(frozen=True, slots=True)
class ToldAction:
    """A corporate action, and who told it: a provider, or `BY_HAND`."""

    action: CorporateAction
    provider: str

    @property
    def key(self) -> EventKey:
        """What it is stored by."""
        return self.action.kind, self.action.ex_date


@dataclass(frozen=True, slots=True)
class Holder:
    """Of which sessions a ticker named an identity: `[start, end)`, None where unbounded."""

    symbol_id: int
    symbol: str
    start: date | None
    end: date | None

    def holds(self, day: date) -> bool:
        """Tell whether it did on a day."""
        return (self.start is None or day >= self.start) and (self.end is None or day < self.end)


@dataclass(slots=True)
class ActionChanges:
    """What is to be done with an answer.

    Attributes
    ----------
    new, corrected : list of CorporateAction
        To be stored for the first time; instead of the stored one of the same kind and ex-date.
    confirmed : list of CorporateAction
        Stored as they are, told by a lower-ranked provider so far.
    unchanged, outranked : int
        Stored as they are, those of `confirmed` included; left out, since a higher-ranked one tells
        otherwise.
    remarks : list of str
        What a person should know.
    """

    new: list[CorporateAction] = field(default_factory=list)
    corrected: list[CorporateAction] = field(default_factory=list)
    confirmed: list[CorporateAction] = field(default_factory=list)
    unchanged: int = 0
    outranked: int = 0
    remarks: list[str] = field(default_factory=list)


def joined_events(
    told: Iterable[CorporateAction],
) -> tuple[list[CorporateAction], list[CorporateAction]]:
    """Make one action of those of one kind and ex-date.

    What is told twice is one event. Several dividends of one day, a regular and a special one, come off
    the same close: their amounts are added. Splits of one day multiply.

    Returns
    -------
    joined, left_out : list of CorporateAction
        Ascending by ex-date; dividends that cannot be added to another one, of another currency.
    """
    joined, left_out = [], []
    by_key = groupby(sorted(set(told), key=_order), key=lambda action: (action.ex_date, action.kind))
    for _, group in by_key:
        first, *rest = group
        same = [other for other in rest if other.currency == first.currency]
        left_out += [other for other in rest if other.currency != first.currency]
        joined.append(_joined([first, *same]) if same else first)
    return joined, left_out


def of_identity(
    actions: Iterable[CorporateAction], symbol_id: int, ticker: str, holders: Sequence[Holder]
) -> tuple[list[CorporateAction], list[CorporateAction]]:
    """Part the actions of an identity from those of whoever had its ticker before.

    An action is the identity's where it existed on the ex-date, under whatever ticker, and `ticker` did
    not name another identity then.

    Parameters
    ----------
    ticker : str
        Under which the provider was asked.
    holders : sequence of Holder
        All of the identity, and all of the ticker.
    """
    own: list[CorporateAction] = []
    others: list[CorporateAction] = []
    for action in actions:
        held = [holder for holder in holders if holder.holds(action.ex_date)]
        is_own = any(holder.symbol_id == symbol_id for holder in held)
        is_anothers = any(h.symbol_id != symbol_id and h.symbol == ticker for h in held)
        (own if is_own and not is_anothers else others).append(action)
    return own, others


def plan_changes(
    told: Sequence[CorporateAction],
    stored: Sequence[ToldAction],
    provider: str,
    ranks: Mapping[str, int],
    asked: tuple[date, date],
) -> ActionChanges:
    """Compare an answer with what is stored.

    Parameters
    ----------
    told : sequence of CorporateAction
        The whole answer about one identity, in any order, with currencies.
    stored : sequence of ToldAction
        All of the identity.
    provider : str
        Who answers.
    ranks : mapping of str to int
        Of providers, the greater outranks; others rank lowest, and `BY_HAND` outranks all.
    asked : (date, date)
        Which ex-dates were asked about, half-open.
    """
    changes = ActionChanges()
    sound = _sound(told, changes)
    known = {one.key: one for one in stored}
    for action in sound:
        _compare(action, known.get((action.kind, action.ex_date)), provider, ranks, changes)
    if told:
        _remark_untold(told, stored, provider, asked, changes)
    elif any(one.provider == provider and asked[0] <= one.action.ex_date < asked[1] for one in stored):
        changes.remarks.append(f"{provider} told nothing; what it has told before stays")
    return changes


def _sound(told: Sequence[CorporateAction], changes: ActionChanges) -> list[CorporateAction]:
    """Leave out what cannot be, one by one: what repeats another is a question of reading."""
    possible = []
    for action in told:
        _, refused = sift_actions([action])
        changes.remarks += [f"{_name(action)} was not stored: {f.description}" for f in refused]
        if not refused:
            possible.append(action)
    sound, left_out = joined_events(possible)
    changes.remarks += [
        f"{_name(action)} in {action.currency} was not stored: there is one in another currency"
        for action in left_out
    ]
    _, repeats = sift_actions(sound)
    changes.remarks += [f"{_name(f.action)} is not applied to prices: {f.description}" for f in repeats]
    return sound


def _compare(
    action: CorporateAction,
    stored: ToldAction | None,
    provider: str,
    ranks: Mapping[str, int],
    changes: ActionChanges,
) -> None:
    if stored is None:
        changes.new.append(action)
        return
    is_lower = _rank(provider, ranks) < _rank(stored.provider, ranks)
    if is_same(action, stored.action):
        changes.unchanged += 1
        if _rank(provider, ranks) > _rank(stored.provider, ranks):
            changes.confirmed.append(action)
    elif is_lower:
        changes.outranked += 1
        who = stored.provider or "a person"
        tells = f"{provider} tells {_size(action)}, {who} {_size(stored.action)}, which stays"
        text = f"{_name(action)}: {tells}"
        changes.remarks.append(text)
    else:
        changes.corrected.append(action)
        changes.remarks.append(f"{_name(action)} was {_size(stored.action)} and is {_size(action)} now")


def is_same(one: CorporateAction, other: CorporateAction) -> bool:
    """Tell whether two actions of one kind and ex-date say the same, whatever their sources."""
    if one.split_ratio is not None and other.split_ratio is not None:
        return math.isclose(one.split_ratio, other.split_ratio, rel_tol=_TOLERANCE)
    if one.cash_amount is None or other.cash_amount is None:
        return False
    is_close = math.isclose(one.cash_amount, other.cash_amount, rel_tol=_TOLERANCE)
    return is_close and one.currency == other.currency


def _remark_untold(
    told: Sequence[CorporateAction],
    stored: Sequence[ToldAction],
    provider: str,
    asked: tuple[date, date],
    changes: ActionChanges,
) -> None:
    start, end = asked
    keys = {(action.kind, action.ex_date) for action in told}
    for one in stored:
        is_asked = one.provider == provider and start <= one.action.ex_date < end
        if is_asked and one.key not in keys:
            text = f"{_name(one.action)} is not told by {provider} any more; it stays"
            changes.remarks.append(text)


def _joined(events: Sequence[CorporateAction]) -> CorporateAction:
    sources = "; ".join(dict.fromkeys(event.source for event in events if event.source))
    if events[0].kind is CorporateActionKind.SPLIT:
        ratio = math.prod(event.split_ratio or 1.0 for event in events)
        return replace(events[0], split_ratio=ratio, source=sources)
    amount = math.fsum(event.cash_amount or 0.0 for event in events)
    return replace(events[0], cash_amount=amount, source=sources)


def _rank(provider: str, ranks: Mapping[str, int]) -> tuple[float, str]:
    # By name where ranks are equal: whose say it is must not depend on who was asked first.
    return math.inf if provider == BY_HAND else ranks.get(provider, -1), provider


def _order(action: CorporateAction) -> tuple[date, str, str, float, str]:
    size = action.split_ratio if action.split_ratio is not None else action.cash_amount
    return action.ex_date, action.kind.value, action.currency, size or 0.0, action.source


def _name(action: CorporateAction) -> str:
    return f"{action.kind.value} of {action.ex_date}"


def _size(action: CorporateAction) -> str:
    if action.split_ratio is not None:
        return f"{action.split_ratio:g}"
    return f"{action.cash_amount:g} {action.currency}"
