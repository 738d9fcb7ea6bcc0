"""docs/ingestion.md names the tests of the domain rules: they are there, and name the rules."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
PAGE: Final = TESTS.parent / "docs" / "ingestion.md"
# Those that bars and corporate actions from providers are held to. The others are about reads (10, 12),
# analytics (21 to 23) and live feeds (26, 28).
RULES: Final = [*range(1, 10), 11, *range(13, 21), 24, 25, 27]
_ROW: Final = re.compile(r"\| (\d+): [^|]+ \| ([^|]+) \|")
_NAMED: Final = re.compile(r"rules? (\d+(?:(?:, | and | to )\d+)*)", re.IGNORECASE)


def _table() -> dict[int, list[str]]:
    """Read which tests stand for which rule."""
    _, section = PAGE.read_text("utf-8").split("## The rules of the field\n")
    section, *_ = section.split("\n## ")
    rows = [row.groups() for row in _ROW.finditer(section)]
    found = {int(number): re.findall(r"`([^`]+)`", tests) for number, tests in rows}
    assert len(found) == len(rows)
    return found


def _docstring(test: str) -> str:
    """Find what a test says; fail where there is none of that name."""
    file, name = test.split("::")
    path = TESTS / file
    assert path.is_file(), f"{file} is not there"
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    functions = (n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    found = next((node for node in functions if node.name == name), None)
    assert found is not None, f"{file} has no test {name}"
    return ast.get_docstring(found) or ""


def _named(text: str) -> set[int]:
    """List the rules that a text names: rule 9, rules 19 and 20, rules 1 to 3."""
    numbers: set[int] = set()
    for part in _NAMED.findall(text):
        for first, last in re.findall(r"(\d+)(?: to (\d+))?", part):
            numbers |= set(range(int(first), int(last or first) + 1))
    return numbers


def test_table_given_rules_of_ingestion_has_each_once_in_order() -> None:
    """A rule without a test is a rule that somebody will break."""
    assert list(_table()) == RULES


@pytest.mark.parametrize("rule", RULES)
def test_table_given_a_rule_names_tests_that_are_there_and_say_so(rule: int) -> None:
    """A test that is renamed or gone, or speaks of another rule, is noticed."""
    tests = _table()[rule]
    assert tests
    for test in tests:
        assert rule in _named(_docstring(test)), f"{test} does not name rule {rule}"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("no rule at all", set()),
        ("prices are raw (rule 9).", {9}),
        ("Rules 19 and 20: NaN", {19, 20}),
        ("rules 1 to 3, and more", {1, 2, 3}),
        ("rules 1, 2 and 9", {1, 2, 9}),
    ],
)
def test_named_given_a_text_finds_its_rules(text: str, numbers: set[int]) -> None:
    """The ways in which docstrings name rules."""
    assert _named(text) == numbers
