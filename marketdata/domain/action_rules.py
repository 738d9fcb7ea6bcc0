"""The rules that corporate actions keep before prices are adjusted for them."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import groupby
from statistics import median
from typing import Final

from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind

# A vendor that corrects an ex-date often leaves the first one standing, a few days apart. Funds that
# pay every week lie at the edge of this: two equal payments exactly 7 days apart read as one.
DUPLICATE_WINDOW: Final = timedelta(days=7)
# The same dividend from two sources differs by rounding: 0.2425 against 0.24 is 1.03%.
DUPLICATE_TOLERANCE: Final = 0.015
# Pence for pounds is 100 times. Real yields lie between a third and 1.6 times of their median in the
# sample, and MSFT's special dividend of 2004, a tenth of the price, is 23 times.
SCALE_ERROR: Final = (50.0, 200.0)
# With fewer dividends a median does not say which one is usual.
SCALE_EVIDENCE: Final = 4


@dataclass(frozen=True, slots=True)
class ActionFinding:
    """A rule that an action breaks.

    Attributes
    ----------
    rule : str
        UPPER_SNAKE name, stable.
    action : CorporateAction
        The action that breaks it.
    description : str
        What is wrong, for people.
    is_rejected : bool
        Whether prices are not adjusted for the action; False where it is only suspicious.
    """

    rule: str
    action: CorporateAction
    description: str
    is_rejected: bool = True


_Rule = Callable[[list[CorporateAction]], Iterable[ActionFinding]]


def check_actions(
    actions: Sequence[CorporateAction],
    previous_closes: Mapping[date, float] | None = None,
    currency: str | None = None,
) -> list[ActionFinding]:
    """Hold corporate actions of one symbol to the rules.

    ========================  ==========================================================================
    rule                      broken by
    ========================  ==========================================================================
    RATIO_NOT_POSITIVE        a split without a ratio, or with one that is 0, negative, NaN or infinite
    AMOUNT_NOT_POSITIVE       a dividend without an amount, or with one that is so
    CURRENCY_DIFFERS          a dividend in another currency than the prices
    DUPLICATE_SPLIT           a split of the same ratio at most 7 days after another one
    DUPLICATE_DIVIDEND        a dividend of the same amount (1.5%) at most 7 days after another one
    NO_PREVIOUS_CLOSE         a dividend without a close of the session before its ex-date
    FACTOR_NOT_POSITIVE       dividends of one ex-date that are together no less than that close
    SUSPECT_SCALE             a dividend whose yield is 50 to 200 times the median one, or a 50th to a
                              200th of it: pence for pounds. Flagged only, not rejected
    ========================  ==========================================================================

    Parameters
    ----------
    actions : sequence of CorporateAction
        In any order.
    previous_closes : mapping of date to float, optional
        Raw close of the session before each ex-date, quote currency a share; a close that is not a
        positive number counts as missing. None: the last three rules are not looked at.
    currency : str, optional
        ISO 4217 code of the prices. None: not looked at.

    Returns
    -------
    list of ActionFinding
        By ex-date. No action is rejected twice.
    """
    sound, findings = sift_actions(actions, previous_closes, currency)
    if previous_closes is not None:
        findings += _suspects(sound, previous_closes)
    return sorted(findings, key=lambda finding: finding.action.ex_date)


def sift_actions(
    actions: Iterable[CorporateAction],
    previous_closes: Mapping[date, float] | None = None,
    currency: str | None = None,
) -> tuple[list[CorporateAction], list[ActionFinding]]:
    """Part the sound actions from those that the rules of `check_actions` reject.

    Parameters
    ----------
    actions, previous_closes, currency
        As `check_actions` takes them.

    Returns
    -------
    sound : list of CorporateAction
        By ex-date, in the given order within one.
    rejected : list of ActionFinding
        One for each of the others.
    """
    rejected: list[ActionFinding] = []
    sound = sorted(actions, key=_ex_date)
    rules: list[_Rule] = [partial(_malformed, currency=currency), _duplicates]
    if previous_closes is not None:
        rules.append(partial(_unadjustable, previous_closes=previous_closes))
    for rule in rules:
        found = list(rule(sound))
        rejected += found
        # By identity: a duplicate is equal to the action that it repeats.
        refused = {id(finding.action) for finding in found}
        sound = [action for action in sound if id(action) not in refused]
    return sound, rejected


def split_factor(actions: Iterable[CorporateAction]) -> float:
    """Multiply `1 / ratio` of the splits among sound actions; 1.0 where there is none."""
    return math.prod(1 / action.split_ratio for action in actions if action.split_ratio is not None)


def cash_yield(actions: Sequence[CorporateAction], previous_close: float) -> float:
    """Tell what part of the previous close the dividends of one ex-date pay out.

    ``sum(D) / (close * split factor)``: a dividend is declared on the shares that trade on its
    ex-date, so a close from before a split on the same date is brought to those shares first. Several
    dividends (a regular and a special one) come off the same close, so they are added, not compounded.
    """
    cash = sum(action.cash_amount for action in actions if action.cash_amount is not None)
    return cash / (previous_close * split_factor(actions))


def is_price(value: float | None) -> bool:
    """Tell whether a value is a positive, finite number."""
    return value is not None and math.isfinite(value) and value > 0


def _malformed(actions: Iterable[CorporateAction], currency: str | None) -> Iterator[ActionFinding]:
    for action in actions:
        if action.kind is CorporateActionKind.SPLIT:
            # The factor too: the inverse of the smallest floats is infinite, of the largest zero.
            if not (is_price(action.split_ratio) and is_price(split_factor([action]))):
                text = f"the split ratio is {action.split_ratio}; a ratio is a positive number"
                yield ActionFinding("RATIO_NOT_POSITIVE", action, text)
        elif not is_price(action.cash_amount):
            text = f"the dividend is {action.cash_amount}; an amount is a positive number"
            yield ActionFinding("AMOUNT_NOT_POSITIVE", action, text)
        elif currency is not None and action.currency != currency:
            text = f"the dividend is in {action.currency} and the prices are in {currency}"
            yield ActionFinding("CURRENCY_DIFFERS", action, text)


def _duplicates(actions: Iterable[CorporateAction]) -> Iterator[ActionFinding]:
    kept: dict[CorporateActionKind, list[CorporateAction]] = {kind: [] for kind in CorporateActionKind}
    for action in actions:
        recent = [a for a in kept[action.kind] if action.ex_date - a.ex_date <= DUPLICATE_WINDOW]
        first = next((a for a in recent if _same_size(a, action)), None)
        kept[action.kind] = recent
        if first is None:
            recent.append(action)
        else:
            rule = f"DUPLICATE_{'SPLIT' if action.kind is CorporateActionKind.SPLIT else 'DIVIDEND'}"
            yield ActionFinding(rule, action, f"repeats the one of {first.ex_date}")


def _same_size(one: CorporateAction, other: CorporateAction) -> bool:
    sizes = [action.split_ratio or action.cash_amount or 0.0 for action in (one, other)]
    return abs(sizes[0] - sizes[1]) <= DUPLICATE_TOLERANCE * max(sizes)


def _unadjustable(
    actions: Sequence[CorporateAction], previous_closes: Mapping[date, float]
) -> Iterator[ActionFinding]:
    for ex_date, events in _by_date(actions):
        dividends = _dividends(events)
        close = previous_closes.get(ex_date)
        if close is None or not is_price(close):
            rule, text = "NO_PREVIOUS_CLOSE", "the close of the session before the ex-date is not known"
        elif not is_price(1 - cash_yield(events, close)):
            rule = "FACTOR_NOT_POSITIVE"
            text = f"the dividends of the date are no less than the close of {close} before it"
        else:
            continue
        yield from (ActionFinding(rule, dividend, text) for dividend in dividends)


def _suspects(
    actions: Sequence[CorporateAction], previous_closes: Mapping[date, float]
) -> list[ActionFinding]:
    yields = [
        (dividend, cash_yield([dividend], previous_closes[ex_date] * split_factor(events)))
        for ex_date, events in _by_date(actions)
        for dividend in _dividends(events)
    ]
    if len(yields) < SCALE_EVIDENCE:
        return []
    usual = median(own for _, own in yields)
    low, high = SCALE_ERROR
    return [
        ActionFinding(
            "SUSPECT_SCALE",
            dividend,
            f"the dividend of {dividend.cash_amount} is {own / usual:.3g} times the usual one",
            is_rejected=False,
        )
        for dividend, own in yields
        if low <= max(own / usual, usual / own) <= high
    ]


def _ex_date(action: CorporateAction) -> date:
    return action.ex_date


def _by_date(actions: Iterable[CorporateAction]) -> Iterator[tuple[date, list[CorporateAction]]]:
    return ((ex_date, list(events)) for ex_date, events in groupby(actions, _ex_date))


def _dividends(actions: Iterable[CorporateAction]) -> list[CorporateAction]:
    return [action for action in actions if action.kind is CorporateActionKind.CASH_DIVIDEND]
