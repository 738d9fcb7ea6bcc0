"""The error tree: two branches that never mix, and messages that stand alone."""

from collections.abc import Iterator
from typing import Any

import pytest

from marketdata import errors as tree
from marketdata.errors import FieldViolation, InvalidRequestError, MarketDataError


def classes_below(base: type[Any]) -> Iterator[type[Any]]:
    """Walk the classes below `base`, however deep."""
    for child in base.__subclasses__():
        yield child
        yield from classes_below(child)


def test_tree_given_module_has_every_error_of_it() -> None:
    """Whoever catches the root catches everything that this package raises on purpose."""
    defined = {
        value
        for value in vars(tree).values()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert defined == {MarketDataError, *classes_below(MarketDataError)}


def test_branches_given_error_belong_to_callers_operators_or_runs() -> None:
    """No error is two: one travels to callers, one ends a command, one is noted by a run."""
    branches = (tree.ServiceError, tree.SetupError, tree.ProviderError)
    members = [{branch, *classes_below(branch)} for branch in branches]
    assert sum(map(len, members)) == len(set().union(*members))
    assert set(classes_below(MarketDataError)) == set().union(*members)


@pytest.mark.parametrize("error", list(classes_below(tree.ServiceError)))
def test_service_error_given_message_says_it_and_has_nothing_else(
    error: type[tree.ServiceError],
) -> None:
    """Facts and a retry are there only where somebody gave them."""
    made = error("what is wrong")
    assert str(made) == made.message == "what is wrong"
    assert made.metadata == {}
    assert made.retry_after_seconds is None


def test_service_error_given_metadata_keeps_a_copy() -> None:
    """What the raiser does with its mapping later does not change the error."""
    facts = {"symbol": "AAPL"}
    made = tree.SymbolNotFoundError("unknown", metadata=facts)
    facts["symbol"] = "IBM"
    assert made.metadata == {"symbol": "AAPL"}


def test_invalid_request_given_message_and_violations_keeps_both() -> None:
    """A message of its own wins over the one that is made of the violations."""
    violations = [FieldViolation("symbol", "REQUIRED", "is empty")]
    assert str(InvalidRequestError(violations=violations)) == "symbol: is empty"
    made = InvalidRequestError("all of it is wrong", violations=violations)
    assert str(made) == "all of it is wrong"
    assert made.violations == tuple(violations)
