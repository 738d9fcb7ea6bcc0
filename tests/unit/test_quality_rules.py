"""The rules of quality: their names, what they say, and the page that lists them."""

from pathlib import Path

import numpy as np
import pytest

from marketdata.domain.bar_rules import check_bars
from marketdata.domain.bars import BarFrame, full_columns
from marketdata.domain.quality.rules import QualityRule, Severity, bits_of, rules_of, rules_that
from marketdata.domain.timeframe import Timeframe

PAGE = Path(__file__).parents[2] / "docs" / "quality.md"


@pytest.mark.parametrize("rule", list(QualityRule))
def test_page_given_a_rule_lists_it_with_severity_and_remedy(rule: QualityRule) -> None:
    """The page says of every rule what the code says."""
    line = f"| `{rule.name}` | {rule.severity.value} | {rule.description} |"
    assert line in PAGE.read_text("utf-8").splitlines()


def test_page_given_all_rules_lists_no_other() -> None:
    """A rule that is gone is gone from the page."""
    listed = [line.split("`")[1] for line in PAGE.read_text("utf-8").splitlines() if line[:3] == "| `"]
    assert listed == [rule.name for rule in QualityRule]


def test_rules_given_bar_rules_of_values_have_the_same_names() -> None:
    """What the rules of every bar find goes by the same name here."""
    n = 2
    frame = BarFrame(("AAPL",), **full_columns(n, {}))
    found = {broken.rule for broken in check_bars(frame, Timeframe.MINUTE_1, 0)}
    assert found - {"BAR_NOT_ENDED"} <= {rule.name for rule in QualityRule}


def test_bits_given_every_rule_come_back_as_the_same_rules() -> None:
    """Bits of rules stand for exactly these rules."""
    assert rules_of(bits_of(QualityRule)) == tuple(QualityRule)
    assert rules_of(bits_of([QualityRule.SPIKE, QualityRule.SPIKE])) == (QualityRule.SPIKE,)
    assert len({rule.bit for rule in QualityRule}) == len(QualityRule)
    assert rules_of(0) == ()


def test_bits_given_a_severity_are_of_its_rules() -> None:
    """Rules of a severity are told together."""
    assert {rule.severity for rule in rules_of(rules_that(Severity.FLAG))} == {Severity.FLAG}
    every = np.bitwise_or.reduce([rules_that(severity) for severity in Severity])
    assert every == bits_of(QualityRule)
