"""The rules that corporate actions keep, one by one."""

from datetime import date, timedelta

import pytest

from marketdata.domain.action_rules import check_actions, sift_actions
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind

EX = date(2020, 2, 7)
CLOSE = 100.0
NOT_NUMBERS = [None, 0.0, -1.0, float("nan"), float("inf"), float("-inf")]


def dividend(amount: float | None, days: int = 0, currency: str = "USD") -> CorporateAction:
    """Make a dividend so many days after `EX`."""
    kind, ex_date = CorporateActionKind.CASH_DIVIDEND, EX + timedelta(days=days)
    return CorporateAction(kind, ex_date, cash_amount=amount, currency=currency)


def split(ratio: float | None, days: int = 0) -> CorporateAction:
    """Make a split so many days after `EX`."""
    return CorporateAction(CorporateActionKind.SPLIT, EX + timedelta(days=days), split_ratio=ratio)


def rules_of(*actions: CorporateAction, close: float = CLOSE) -> list[str]:
    """Name the rules that the actions break, every previous close being `close`."""
    closes = {action.ex_date: close for action in actions}
    return [finding.rule for finding in check_actions(actions, closes, "USD")]


def test_check_actions_given_sound_actions_finds_nothing() -> None:
    """A split, quarterly dividends and a special one beside a regular one are in order."""
    assert (
        rules_of(split(2.0), dividend(0.5), dividend(3.0), dividend(0.5, 91), dividend(0.55, 182)) == []
    )


@pytest.mark.parametrize("ratio", [*NOT_NUMBERS, 5e-324, 1e309])
def test_rule_14_split_ratio_given_no_positive_number_is_rejected(ratio: float | None) -> None:
    """A ratio whose inverse is no positive, finite factor would wipe out every price before it."""
    assert rules_of(split(ratio)) == ["RATIO_NOT_POSITIVE"]


@pytest.mark.parametrize("amount", NOT_NUMBERS)
def test_rule_14_dividend_amount_given_no_positive_number_is_rejected(amount: float | None) -> None:
    """An amount that is no positive number makes no factor below one."""
    assert rules_of(dividend(amount)) == ["AMOUNT_NOT_POSITIVE"]


@pytest.mark.parametrize("amounts", [(100.0,), (250.0,), (60.0, 40.0)])
def test_rule_14_factor_given_dividends_as_large_as_the_close_is_rejected(
    amounts: tuple[float, ...],
) -> None:
    """Dividends of one date that eat up the close make a factor that is not positive: none counts."""
    assert rules_of(*map(dividend, amounts)) == ["FACTOR_NOT_POSITIVE"] * len(amounts)


@pytest.mark.parametrize(("days", "duplicates"), [(0, 1), (1, 1), (7, 1), (8, 0)])
def test_rule_14_duplicate_given_days_apart_is_rejected_within_seven(
    days: int, duplicates: int
) -> None:
    """The same dividend again within 7 days is the later one of a corrected ex-date."""
    original, again = dividend(0.5), dividend(0.5, days)
    findings = check_actions([again, original] if days else [original, again])
    assert [finding.rule for finding in findings] == ["DUPLICATE_DIVIDEND"] * duplicates
    assert all(finding.action is again and finding.is_rejected for finding in findings)


def test_rule_14_duplicate_given_amount_rounded_by_another_source_is_rejected() -> None:
    """0.2425 and 0.24 are one dividend, 0.24 and 0.30 are two."""
    assert rules_of(dividend(0.2425), dividend(0.24, 3)) == ["DUPLICATE_DIVIDEND"]
    assert rules_of(dividend(0.24), dividend(0.30, 3)) == []


def test_rule_14_duplicate_given_chain_of_three_is_measured_from_the_first() -> None:
    """A copy does not pass its place on: five days after a copy, ten after the original, is another."""
    assert rules_of(dividend(0.5), dividend(0.5, 5), dividend(0.5, 10)) == ["DUPLICATE_DIVIDEND"]


def test_check_actions_given_split_twice_within_seven_days_rejects_the_later() -> None:
    """A split that counts twice would quarter the prices."""
    assert rules_of(split(2.0), split(2.0, 3)) == ["DUPLICATE_SPLIT"]
    assert rules_of(split(2.0), split(3.0)) == []


@pytest.mark.parametrize(("amount", "suspects"), [(50.0, 1), (0.005, 1), (10.0, 0)])
def test_rule_14_pence_for_pounds_given_hundredfold_amount_is_flagged_and_kept(
    amount: float, suspects: int
) -> None:
    """100 times too much or too little is flagged; 20 times is a special dividend; both still count."""
    actions = [*(dividend(0.5, 91 * quarter) for quarter in range(4)), dividend(amount, 500)]
    findings = check_actions(actions, {action.ex_date: CLOSE for action in actions})
    assert [finding.rule for finding in findings] == ["SUSPECT_SCALE"] * suspects
    assert not any(finding.is_rejected for finding in findings)


def test_check_actions_given_too_few_dividends_suspects_none() -> None:
    """With three dividends nobody knows which is the usual one."""
    assert rules_of(dividend(0.5), dividend(0.5, 91), dividend(50.0, 182)) == []


def test_rule_9_missing_previous_close_is_reported_for_dividends_only() -> None:
    """A dividend needs the close before it, a split does not."""
    actions = [dividend(0.5), split(2.0)]
    assert [finding.rule for finding in check_actions(actions, {})] == ["NO_PREVIOUS_CLOSE"]
    for close in (0.0, -1.0, float("nan"), float("inf")):
        assert rules_of(*actions, close=close) == ["NO_PREVIOUS_CLOSE"]
    assert check_actions(actions) == []


def test_check_actions_given_dividend_in_another_currency_rejects_it() -> None:
    """Dollars over a close in pence is no factor; where the price's currency is not said, it passes."""
    assert rules_of(dividend(0.5, currency="GBP")) == ["CURRENCY_DIFFERS"]
    assert check_actions([dividend(0.5, currency="GBP")], {EX: CLOSE}) == []


def test_sift_actions_given_mixture_returns_the_sound_by_ex_date() -> None:
    """Every action is either sound or rejected, exactly once."""
    actions = [dividend(0.5, 91), split(-2.0, 30), dividend(0.5, 3), dividend(0.5), dividend(200.0, 50)]
    sound, rejected = sift_actions(actions, {action.ex_date: CLOSE for action in actions})
    assert sound == [dividend(0.5), dividend(0.5, 91)]
    assert {finding.rule for finding in rejected} == {
        "RATIO_NOT_POSITIVE",
        "DUPLICATE_DIVIDEND",
        "FACTOR_NOT_POSITIVE",
    }
    assert len(sound) + len(rejected) == len(actions)
