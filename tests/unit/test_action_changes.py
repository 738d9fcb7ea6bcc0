"""What an answer about corporate actions changes: new ones, corrections, and no deletion."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.action_changes import (
    BY_HAND,
    Holder,
    ToldAction,
    joined_events,
    of_identity,
    plan_changes,
)
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind

RANKS: Final = {"alpha_vantage": 300, "yahoo": 200, "alpaca": 100}
DAY: Final = date(2024, 2, 9)
ALWAYS: Final = date(1900, 1, 1), date(2100, 1, 1)
SPLIT: Final = CorporateAction(CorporateActionKind.SPLIT, date(2005, 2, 28), split_ratio=2.0)


def dividend(
    amount: float, day: date = DAY, currency: str = "USD", source: str = ""
) -> CorporateAction:
    """Pay cash."""
    kind = CorporateActionKind.CASH_DIVIDEND
    return CorporateAction(kind, day, cash_amount=amount, currency=currency, source=source)


def applied(
    told: Sequence[CorporateAction],
    stored: Sequence[ToldAction],
    provider: str,
    asked: tuple[date, date] = ALWAYS,
) -> list[ToldAction]:
    """Do what an answer wants done."""
    changes = plan_changes(told, stored, provider, RANKS, asked)
    by_key = {one.key: one for one in stored}
    for action in (*changes.new, *changes.corrected):
        by_key[action.kind, action.ex_date] = ToldAction(action, provider)
    for action in changes.confirmed:
        key = action.kind, action.ex_date
        by_key[key] = ToldAction(by_key[key].action, provider)
    return list(by_key.values())


def test_plan_given_nothing_stored_takes_all_as_new() -> None:
    """The first answer is the whole history."""
    changes = plan_changes([SPLIT, dividend(0.24)], [], "yahoo", RANKS, ALWAYS)
    assert changes.new == [SPLIT, dividend(0.24)]
    assert (changes.corrected, changes.unchanged, changes.remarks) == ([], 0, [])


@pytest.mark.parametrize(
    ("told_by", "stored_by", "outcome"),
    [
        ("yahoo", "yahoo", "corrected"),
        ("alpha_vantage", "yahoo", "corrected"),
        ("alpaca", "yahoo", "outranked"),
        ("alpha_vantage", BY_HAND, "outranked"),
        ("yahoo", "unheard_of", "corrected"),
    ],
)
def test_plan_given_another_amount_goes_by_rank(told_by: str, stored_by: str, outcome: str) -> None:
    """A provider corrects itself and those below it; nobody corrects a person."""
    stored = [ToldAction(dividend(0.25), stored_by)]
    changes = plan_changes([dividend(0.24)], stored, told_by, RANKS, ALWAYS)
    assert changes.corrected == ([dividend(0.24)] if outcome == "corrected" else [])
    assert changes.outranked == (outcome == "outranked")
    assert len(changes.remarks) == 1
    assert "cash_dividend of 2024-02-09" in changes.remarks[0]


def test_plan_given_the_same_from_another_source_changes_nothing() -> None:
    """Another text of its source, or the last bits of a float, are no correction."""
    stored = [ToldAction(dividend(0.24, source="Yahoo"), "yahoo")]
    changes = plan_changes([dividend(0.24000001, source="other")], stored, "yahoo", RANKS, ALWAYS)
    assert (changes.new, changes.corrected, changes.confirmed, changes.unchanged) == ([], [], [], 1)
    higher = plan_changes([dividend(0.24)], stored, "alpha_vantage", RANKS, ALWAYS)
    assert (higher.corrected, higher.confirmed, higher.unchanged) == ([], [dividend(0.24)], 1)


def test_plan_given_the_same_amount_in_another_currency_is_a_correction() -> None:
    """0.24 pounds are not 0.24 dollars."""
    stored = [ToldAction(dividend(0.24, currency="USD"), "yahoo")]
    changes = plan_changes([dividend(0.24, currency="GBP")], stored, "yahoo", RANKS, ALWAYS)
    assert [action.currency for action in changes.corrected] == ["GBP"]


def test_plan_given_an_action_that_is_not_told_any_more_remarks_it_and_keeps_it() -> None:
    """Only of what was asked about, and only what this very provider has told."""
    stored = [
        ToldAction(SPLIT, "yahoo"),
        ToldAction(dividend(0.24, DAY - timedelta(90)), "alpaca"),
        ToldAction(dividend(0.24, DAY - timedelta(9000)), "yahoo"),
    ]
    asked = date(2005, 1, 1), date(2025, 1, 1)
    changes = plan_changes([dividend(0.25)], stored, "yahoo", RANKS, asked)
    assert changes.remarks == ["split of 2005-02-28 is not told by yahoo any more; it stays"]
    assert (changes.new, changes.corrected) == ([dividend(0.25)], [])


def test_plan_given_an_empty_answer_changes_nothing_and_says_so() -> None:
    """Nothing is no evidence of anything (rule 16)."""
    stored = [ToldAction(SPLIT, "yahoo")]
    assert plan_changes([], [], "yahoo", RANKS, ALWAYS).remarks == []
    assert plan_changes([], stored, "alpaca", RANKS, ALWAYS).remarks == []
    changes = plan_changes([], stored, "yahoo", RANKS, ALWAYS)
    assert changes.remarks == ["yahoo told nothing; what it has told before stays"]
    assert (changes.new, changes.corrected, changes.confirmed) == ([], [], [])


def test_plan_given_impossible_amounts_leaves_those_out() -> None:
    """One that cannot be does not keep the others away, nor poison what it would be added to."""
    told = [dividend(float("nan")), dividend(-1.0), dividend(0.24), SPLIT]
    changes = plan_changes(told, [], "yahoo", RANKS, ALWAYS)
    assert changes.new == [SPLIT, dividend(0.24)]
    assert len(changes.remarks) == 2


def test_plan_given_a_repeat_within_a_week_stores_both_and_says_it() -> None:
    """Which of the two is applied is decided on read, whatever came first (rule 14)."""
    told = [dividend(0.24, DAY + timedelta(3)), dividend(0.24)]
    changes = plan_changes(told, [], "yahoo", RANKS, ALWAYS)
    assert len(changes.new) == 2
    assert changes.remarks == [
        "cash_dividend of 2024-02-12 is not applied to prices: repeats the one of 2024-02-09"
    ]


def test_joined_given_a_regular_and_a_special_dividend_of_one_day_adds_them() -> None:
    """Both come off the same close; what is told twice is one."""
    regular, special = dividend(0.08, source="regular"), dividend(3.0, source="special")
    joined, left_out = joined_events([special, regular, regular])
    assert left_out == []
    assert joined == [dividend(3.08, source="regular; special")]


def test_joined_given_another_currency_leaves_it_out() -> None:
    """Amounts of two currencies cannot be added."""
    joined, left_out = joined_events([dividend(1.0, currency="USD"), dividend(1.0, currency="EUR")])
    assert [action.currency for action in (*joined, *left_out)] == ["EUR", "USD"]
    assert len(left_out) == 1


REUSED: Final = [
    Holder(1, "FB", None, date(2022, 6, 9)),
    Holder(1, "META", date(2022, 6, 9), None),
    Holder(2, "FB", date(2023, 7, 3), None),
]


def test_identity_given_a_rename_takes_what_was_under_its_former_ticker() -> None:
    """META's dividends and those of FB before are one company's."""
    told = [dividend(1.0, date(2020, 1, 2)), dividend(1.0, date(2024, 2, 21))]
    holders = [holder for holder in REUSED if holder.symbol_id == 1]
    assert of_identity(told, 1, "META", holders) == (told, [])


def test_identity_given_a_reused_ticker_leaves_out_the_former_holders() -> None:
    """What is told of FB before 2023 is Meta's, or nobody's, and not the new company's (rule 15)."""
    told = [dividend(1.0, date(2020, 1, 2)), dividend(1.0, date(2022, 12, 1)), dividend(1.0)]
    holders = [holder for holder in REUSED if holder.symbol == "FB"]
    assert of_identity(told, 2, "FB", holders) == (told[2:], told[:2])


amounts = st.sampled_from([0.1, 0.2, 0.5])
days = st.integers(0, 40).map(lambda n: DAY + timedelta(n))
actions = st.lists(
    st.builds(dividend, amounts, days, st.just("USD"))
    | st.builds(
        lambda day, ratio: CorporateAction(CorporateActionKind.SPLIT, day, split_ratio=ratio),
        days,
        st.sampled_from([2.0, 3.0]),
    ),
    max_size=8,
)


@given(
    truths=st.fixed_dictionaries(dict.fromkeys(RANKS, actions)),
    calls=st.lists(st.tuples(st.sampled_from(list(RANKS)), st.integers(0, 40), st.integers(1, 41))),
    order=st.permutations(list(RANKS)),
)
def test_runs_given_the_same_answers_in_any_order_end_in_the_same_actions(
    truths: dict[str, list[CorporateAction]], calls: list[tuple[str, int, int]], order: list[str]
) -> None:
    """However often, of whatever windows, whoever is asked first: the same is stored in the end."""
    straight: list[ToldAction] = []
    for provider in RANKS:
        straight = applied(truths[provider], straight, provider)
    winding: list[ToldAction] = []
    for provider, start, length in calls:
        asked = DAY + timedelta(start), DAY + timedelta(start + length)
        told = [action for action in truths[provider] if asked[0] <= action.ex_date < asked[1]]
        winding = applied(told, winding, provider, asked)
    for provider in order:
        winding = applied(truths[provider], winding, provider)
    assert {one.key: one for one in winding} == {one.key: one for one in straight}
    for provider in RANKS:
        changes = plan_changes(truths[provider], winding, provider, RANKS, ALWAYS)
        assert (changes.new, changes.corrected, changes.confirmed) == ([], [], [])
