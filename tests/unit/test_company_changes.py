"""What an answer changes of a company: nothing is erased or goes back, and people come first."""

from dataclasses import asdict, replace
from datetime import date, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.company import Company, CompanyFacts, FactOrigin
from marketdata.domain.company_changes import FactChanges, merge_facts, origins_by_hand
from marketdata.domain.symbol import BY_HAND

TODAY: Final = date(2026, 11, 23)
QUARTER: Final = date(2026, 9, 30)
FACTS: Final = CompanyFacts(
    name="Apple Inc.",
    sector="Technology",
    industry="Consumer Electronics",
    employees=164_000,
    market_cap=3e12,
    shares_outstanding=15e9,
    currency="USD",
    ipo_date=date(1980, 12, 12),
    as_of=QUARTER,
)
OTHER: Final = CompanyFacts(
    "Apple", "Tech", "Phones", 165_000, 3.1e12, 14e9, "EUR", date(1980, 12, 13), QUARTER
)
NOTHING: Final = Company("A", 1, CompanyFacts())
WORDS: Final = ("name", "sector", "industry", "ipo_date")
FIGURES: Final = ("employees", "market_cap", "shares_outstanding", "currency")


def after(stored: Company, told: CompanyFacts, source: str = "yahoo", today: date = TODAY) -> Company:
    """Store an answer."""
    changes = merge_facts(stored, told, source, today)
    return replace(stored, facts=changes.facts, origins=changes.origins)


def said(**values: Any) -> Company:
    """Let a person say facts, on the day of the quarter."""
    facts = replace(CompanyFacts(), **values)
    return Company("A", 1, facts, BY_HAND, None, origins_by_hand(CompanyFacts(), facts, {}, QUARTER))


def test_merge_given_a_new_company_takes_everything() -> None:
    """With its day, and who told each fact."""
    stored = after(NOTHING, FACTS)
    assert stored.facts == FACTS
    assert set(stored.origins) == {*WORDS, *FIGURES}
    assert set(stored.origins.values()) == {FactOrigin("yahoo", QUARTER)}


@pytest.mark.parametrize("name", [*WORDS, "employees", "market_cap", "shares_outstanding", "currency"])
def test_merge_given_nothing_for_a_fact_keeps_it(name: str) -> None:
    """What a provider does not tell is not cleared; the other facts are taken."""
    told = replace(OTHER, **{name: getattr(CompanyFacts(), name)})
    found = after(after(NOTHING, FACTS), told).facts
    kept = {"market_cap", "currency"} if name == "market_cap" else {name}
    expected = asdict(OTHER) | {each: getattr(FACTS, each) for each in kept}
    assert asdict(found) == expected


def test_merge_given_an_older_day_changes_nothing() -> None:
    """Neither figures nor words, and it says so; of the same day the later answer counts."""
    stored = after(NOTHING, FACTS)
    old = replace(OTHER, as_of=QUARTER - timedelta(days=1))
    changes = merge_facts(stored, old, "alpha_vantage", TODAY)
    assert (changes.facts, changes.origins) == (FACTS, stored.origins)
    assert changes.told == len(changes.kept) == 7
    assert changes.remarks == [
        "alpha_vantage tells facts of 2026-09-29, older than those of 2026-09-30"
    ]
    assert after(stored, OTHER).facts == OTHER


def test_merge_given_the_same_answer_again_changes_nothing() -> None:
    """Also one without a day of its own: only new figures move the day on."""
    dayless = replace(FACTS, as_of=None)
    stored = after(NOTHING, dayless)
    assert stored.facts == replace(FACTS, as_of=TODAY)
    week = TODAY + timedelta(days=7)
    assert after(stored, dayless, today=week) == stored
    moved = after(stored, replace(dayless, market_cap=4e12), today=week)
    assert moved.facts == replace(FACTS, market_cap=4e12, as_of=week)


@pytest.mark.parametrize("name", WORDS)
def test_merge_given_a_word_by_hand_leaves_it_for_good(name: str) -> None:
    """A provider's later answer does not undo what a person said; cleared, it is taken."""
    stored = said(**{name: getattr(FACTS, name)})
    later = replace(OTHER, as_of=TODAY)
    changes = merge_facts(stored, later, "yahoo", TODAY)
    assert changes.facts == replace(later, **{name: getattr(FACTS, name)})
    assert changes.kept == [name]
    cleared = replace(changes.facts, **{name: getattr(CompanyFacts(), name)})
    origins = origins_by_hand(changes.facts, cleared, changes.origins, TODAY)
    assert name not in origins
    assert getattr(after(replace(stored, facts=cleared, origins=origins), later).facts, name) == (
        getattr(later, name)
    )


@pytest.mark.parametrize("name", ["employees", "shares_outstanding", "market_cap"])
def test_merge_given_a_figure_by_hand_leaves_it_until_a_later_day(name: str) -> None:
    """Of the same day a person's word stands; a later quarter has other figures."""
    values = {name: getattr(FACTS, name)} | ({"currency": "USD"} if name == "market_cap" else {})
    stored = said(**values)
    same = merge_facts(stored, OTHER, "yahoo", TODAY)
    assert same.kept == [name]
    assert {each: getattr(same.facts, each) for each in values} == values
    later = replace(OTHER, as_of=QUARTER + timedelta(days=1))
    assert after(stored, later).facts == later


@pytest.mark.parametrize(
    ("values", "left_out"),
    [
        ({"currency": "GBp"}, {"currency", "market_cap"}),
        ({"market_cap": float("nan")}, {"market_cap"}),
        ({"shares_outstanding": -1.0}, {"shares_outstanding"}),
        ({"employees": -1}, {"employees"}),
        ({"employees": 2**63}, {"employees"}),
        ({"name": "x" * 201}, {"name"}),
        ({"sector": "a\0b"}, {"sector"}),
        ({"as_of": TODAY + timedelta(days=2)}, {"as_of"}),
    ],
)
def test_merge_given_what_cannot_be_leaves_it_out(values: dict[str, Any], left_out: set[str]) -> None:
    """Pence are no currency, and a day to come would keep the next answers out; the rest is taken."""
    changes = merge_facts(NOTHING, replace(FACTS, **values), "yahoo", TODAY)
    nothing = asdict(CompanyFacts())
    expected = asdict(FACTS) | {name: nothing[name] for name in left_out}
    if "as_of" in left_out:
        expected["as_of"] = TODAY
    assert asdict(changes.facts) == expected
    (remark,) = changes.remarks
    assert all(name in remark for name in left_out)


@given(
    answers=st.lists(
        st.builds(
            CompanyFacts,
            name=st.sampled_from(["", "A", "B"]),
            employees=st.sampled_from([None, 1, 2]),
            market_cap=st.sampled_from([None, 1.0, 2.0]),
            currency=st.sampled_from(["", "USD", "EUR"]),
            as_of=st.none() | st.dates(date(2026, 1, 1), TODAY),
        ),
        max_size=6,
    )
)
def test_answers_given_in_any_order_never_erase_nor_go_back(answers: list[CompanyFacts]) -> None:
    """What is known stays known, the day never goes back, and each answer is idempotent."""
    stored = NOTHING
    for told in answers:
        before, stored = stored, after(stored, told)
        for name in (*WORDS, *FIGURES):
            is_known = getattr(before.facts, name) != getattr(CompanyFacts(), name)
            assert not is_known or getattr(stored.facts, name) != getattr(CompanyFacts(), name)
            assert (name in stored.origins) == (
                getattr(stored.facts, name) != getattr(CompanyFacts(), name)
            )
        days = [facts.as_of for facts in (before.facts, stored.facts) if facts.as_of is not None]
        assert days == sorted(days)
        again: FactChanges = merge_facts(stored, told, "yahoo", TODAY)
        assert again.facts == stored.facts
