"""What a batch is to the stored bars, against a slow oracle."""

from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.bar_classification import classify
from marketdata.domain.bars import BarFrame
from tests.support.bars import Bar, days, frame_of

RANKS: Final = {1: 1000, 2: 10, 3: 10}
BARS = st.fixed_dictionaries(
    {
        "symbol": st.sampled_from(["A", "BB", "C"]),
        "time_us": st.integers(0, 5).map(days),
        "close": st.sampled_from([10.0, 11.0]),
        "volume": st.sampled_from([None, 0.0, -0.0, 5.0]),
        "feed": st.sampled_from(sorted(RANKS)),
        "revision": st.integers(0, 3),
    }
).map(lambda values: Bar(**values))
SYMBOLS: Final = ("A", "BB", "C")


def frame(bars: list[Bar]) -> BarFrame:
    """Make a frame whose dictionary is `SYMBOLS`."""
    own = frame_of(bars)
    lookup = np.array([SYMBOLS.index(symbol) for symbol in own.symbols], np.int32)
    columns = {name: getattr(own, name) for name in own.__dataclass_fields__}
    columns |= {"symbols": SYMBOLS, "symbol_index": lookup[own.row_symbol_index()]}
    return BarFrame(**columns)


def class_of(bar: Bar, stored: Bar | None) -> str:
    """Classify one bar, row by row, as a reader of the rules would."""
    if stored is None:
        return "new"
    if bar._replace(revision=0) == stored._replace(revision=0):
        return "same"
    return "outranked" if RANKS[stored.feed] > RANKS[bar.feed] else "different"


@given(
    batch=st.lists(BARS, min_size=1, unique_by=lambda bar: bar.key),
    stored=st.lists(BARS, unique_by=lambda bar: bar.key),
)
def test_classify_given_any_bars_does_as_the_oracle(batch: list[Bar], stored: list[Bar]) -> None:
    """Every bar has one class, whatever the order of the stored ones; revisions count on."""
    batch = sorted(batch, key=lambda bar: bar.key)
    held = {bar.key: bar for bar in stored}
    found = classify(frame(batch), frame(stored) if stored else BarFrame.empty(SYMBOLS), RANKS)
    expected = [class_of(bar, held.get(bar.key)) for bar in batch]
    for name in ("new", "different", "same", "outranked"):
        assert getattr(found, name).tolist() == [is_class == name for is_class in expected]
    assert found.revision.tolist() == [
        held[bar.key].revision + 1 if is_class == "different" else 0
        for bar, is_class in zip(batch, expected, strict=True)
    ]


@pytest.mark.parametrize("times", [(2, 1), (1, 1)], ids=["descending", "repeated"])
def test_classify_given_rows_out_of_order_raises_value_error(times: tuple[int, int]) -> None:
    """It looks bars up by their order: a batch without one is a defect of the caller."""
    batch = frame([Bar("A", days(day)) for day in times])
    with pytest.raises(ValueError, match="ordered by symbol and time"):
        classify(batch, BarFrame.empty(SYMBOLS), RANKS)
