"""Factors of a symbol and what they do to bars: rule by rule, and as properties."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.adjust import (
    NO_SESSION_US,
    AdjustmentFactors,
    actions_of_interest,
    adjust_frame,
    adjust_frames,
    build_factors,
    previous_closes,
    previous_sessions,
)
from marketdata.domain.adjustment import Adjustment
from marketdata.domain.bars import BarColumn, BarFrame
from marketdata.domain.corporate_action import CorporateAction, CorporateActionKind
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.time_range import session_label_us
from tests.support.sessions import labels_of, local_us, minutes_between, side_by_side, walk

XNYS = get_calendar("XNYS")
LATE = date(2030, 1, 1)
DAYS = labels_of("2020-02-05", "2020-02-06", "2020-02-07", "2020-02-10")
EX = date(2020, 2, 7)


def dividend(amount: float, ex_date: date = EX) -> CorporateAction:
    """Make a cash dividend."""
    return CorporateAction(CorporateActionKind.CASH_DIVIDEND, ex_date, cash_amount=amount)


def split(ratio: float, ex_date: date = EX) -> CorporateAction:
    """Make a split."""
    return CorporateAction(CorporateActionKind.SPLIT, ex_date, split_ratio=ratio)


def factor_before(
    *actions: CorporateAction, adjustment: Adjustment = Adjustment.ALL, close: float = 100.0
) -> float:
    """Tell the price factor of the session before `EX`, its close being `close`."""
    return float(build_factors(actions, {EX: close}, adjustment, LATE).price[0])


def test_rule_9_dividend_factor_given_known_close_is_one_minus_its_part_of_it() -> None:
    """2 off a close of 100 leaves 98% of every price before."""
    assert factor_before(dividend(2.0)) == 0.98


def test_rule_9_split_factor_given_ratio_is_its_inverse() -> None:
    """4:1 quarters the prices before; a reverse split of 1:10 makes them ten times as high."""
    assert factor_before(split(4.0)) == 0.25
    assert factor_before(split(0.1)) == 10.0


def test_rule_9_same_split_basis_given_split_and_dividend_of_one_date_divides_the_close_first() -> None:
    """2:1 and 1.00 for each new share: the close of 100 is 50 on that basis, so 2% are paid out."""
    both = (split(2.0), dividend(1.0))
    assert factor_before(*both) == 0.5 * 0.98
    assert factor_before(*both[::-1]) == 0.5 * 0.98
    assert factor_before(*both, adjustment=Adjustment.SPLIT) == 0.5
    assert factor_before(*both, adjustment=Adjustment.DIVIDEND) == 0.98


def test_build_factors_given_special_dividend_beside_a_regular_one_adds_them() -> None:
    """Both come off the same close: 2 and 8 off 100 leave 90, not 98% of 92."""
    assert factor_before(dividend(2.0), dividend(8.0)) == 0.9


def test_build_factors_given_two_splits_of_one_date_multiplies_them() -> None:
    """2:1 and 3:1 on one date are 6:1."""
    assert factor_before(split(2.0), split(3.0)) == pytest.approx(1 / 6)


def test_rule_9_missing_previous_close_given_dividend_is_reported_and_left_out() -> None:
    """Nothing is guessed: the dividend changes no price, and the caller is told."""
    actions = (dividend(2.0), split(2.0))
    factors = build_factors(actions, {}, Adjustment.ALL, LATE)
    assert factors.price.tolist() == [0.5, 1.0]
    assert [(finding.rule, finding.action) for finding in factors.rejected] == [
        ("NO_PREVIOUS_CLOSE", actions[0])
    ]


@pytest.mark.parametrize("adjustment", [Adjustment.RAW, Adjustment.SPLIT])
def test_build_factors_given_dividends_not_asked_for_reports_no_missing_close(
    adjustment: Adjustment,
) -> None:
    """Who asks for splits only needs no closes."""
    assert actions_of_interest([dividend(2.0)], adjustment, LATE) == []
    assert build_factors([dividend(2.0)], {}, adjustment, LATE).rejected == ()


def test_build_factors_given_events_up_to_the_first_session_asked_needs_no_close_for_them() -> None:
    """An event that lies before the range changes nothing in it, so its close is not missed."""
    actions = [dividend(2.0), dividend(3.0, date(2020, 5, 8))]
    wanted = actions_of_interest(actions, Adjustment.ALL, LATE, since=EX)
    assert wanted == actions[1:]
    factors = build_factors(actions, {wanted[0].ex_date: 100.0}, Adjustment.ALL, LATE, since=EX)
    assert (factors.price.tolist(), factors.rejected) == ([0.97, 1.0], ())


@pytest.mark.parametrize("adjustment", list(Adjustment))
def test_adjust_frame_given_no_events_returns_the_frame_itself(adjustment: Adjustment) -> None:
    """Without events, and always for RAW, nothing is computed or copied."""
    frame = walk(DAYS)
    actions = [split(2.0)] if adjustment is Adjustment.RAW else []
    factors = build_factors(actions, {}, adjustment, LATE)
    assert adjust_frame(frame, factors) is frame
    assert adjust_frames(frame, [factors]) is frame


def test_rule_10_volume_given_split_and_dividend_is_divided_by_the_split_alone() -> None:
    """2:1 doubles the shares that traded before; a dividend leaves them alone."""
    frame = walk(DAYS)
    factors = build_factors([split(2.0), dividend(1.0)], {EX: 100.0}, Adjustment.ALL, LATE)
    expected = [*(frame.volume[:2] * 2), *frame.volume[2:]]
    assert adjust_frame(frame, factors).volume.tolist() == expected
    only_cash = build_factors([dividend(1.0)], {EX: 100.0}, Adjustment.ALL, LATE)
    assert adjust_frame(frame, only_cash).volume is frame.volume


def test_adjust_frame_given_vwap_adjusts_it_as_a_price_and_leaves_the_rest() -> None:
    """All five prices scale alike; counts, feed, flags and revision are shared with the raw frame."""
    frame = walk(DAYS)
    adjusted = adjust_frame(frame, build_factors([split(4.0)], {}, Adjustment.ALL, LATE))
    for column in (BarColumn.OPEN, BarColumn.HIGH, BarColumn.LOW, BarColumn.CLOSE, BarColumn.VWAP):
        raw = frame.column(column)
        assert adjusted.column(column).tolist() == [*(raw[:2] / 4), *raw[2:]]
    for column in (BarColumn.TRADE_COUNT, BarColumn.FEED, BarColumn.FLAGS, BarColumn.REVISION):
        assert adjusted.column(column) is frame.column(column)


def test_adjust_frame_given_missing_values_and_absent_columns_keeps_them_so() -> None:
    """NaN stays NaN, and a column that was not read does not appear."""
    sizes = walk(DAYS, volume=[np.nan] * 4, vwap=[np.nan] * 4)
    adjusted = adjust_frame(sizes, build_factors([split(4.0)], {}, Adjustment.ALL, LATE))
    assert np.isnan(adjusted.volume).all()
    assert np.isnan(adjusted.vwap).all()
    closes = BarFrame(("AAPL",), DAYS, close=sizes.close)
    adjusted = adjust_frame(closes, build_factors([split(4.0)], {}, Adjustment.ALL, LATE))
    assert len(adjusted.close) == 4
    assert len(adjusted.open) == len(adjusted.volume) == 0


def test_rule_9_intraday_bars_given_ex_date_compare_their_session_date() -> None:
    """After hours of the day before are adjusted; the night and the pre-market of the ex-date not."""
    times = np.array(
        [local_us(f"2020-02-{text}") for text in ("06 15:59", "06 19:59", "06 22:00", "07 04:00")]
    )
    frame = walk(times)
    factors = build_factors([split(2.0)], {}, Adjustment.SPLIT, LATE)
    adjusted = adjust_frame(frame, factors, XNYS.session_labels(times))
    assert (adjusted.close / frame.close).tolist() == [0.5, 0.5, 1.0, 1.0]


def test_rule_9_intraday_bars_given_evening_in_utc_of_the_next_day_are_of_their_session() -> None:
    """19:30 in New York in winter is 00:30 UTC of the ex-date, and still the session before it."""
    times = minutes_between("2020-02-06 19:30", "2020-02-06 19:31")
    assert times[0] >= session_label_us(EX)
    factors = build_factors([split(2.0)], {}, Adjustment.SPLIT, LATE)
    adjusted = adjust_frame(walk(times), factors, XNYS.session_labels(times))
    assert adjusted.close[0] == walk(times).close[0] / 2


def test_rule_13_adjusted_prices_given_odd_factor_are_not_rounded() -> None:
    """A third of a price is a third, to the last bit."""
    frame = walk(DAYS)
    adjusted = adjust_frame(frame, build_factors([split(3.0)], {}, Adjustment.SPLIT, LATE))
    assert adjusted.close[0] == frame.close[0] * (1 / 3)


@pytest.mark.parametrize("order", [[3, 2, 1, 0], [2, 0, 3, 1]])
def test_adjust_frame_given_rows_in_another_order_gives_the_same_bars(order: list[int]) -> None:
    """Descending and unordered reads are adjusted like ascending ones."""
    frame, rows = walk(DAYS), np.array(order)
    factors = build_factors([split(2.0)], {}, Adjustment.ALL, LATE)
    adjusted = adjust_frame(frame.take(rows), factors)
    assert adjusted.close.tolist() == adjust_frame(frame, factors).close[rows].tolist()


def test_adjust_frames_given_another_number_of_factors_than_symbols_raises_value_error() -> None:
    """A symbol without its factors must not pass for one without events."""
    frame = side_by_side([walk(DAYS), walk(DAYS, symbol="MSFT")])
    with pytest.raises(ValueError, match="1 factors for 2 symbols"):
        adjust_frames(frame, [build_factors([], {}, Adjustment.ALL, LATE)])


def test_previous_closes_given_hole_before_the_ex_date_finds_none() -> None:
    """A missing bar of the very session before is missing: an older close is no substitute."""
    actions = [dividend(1.0), dividend(1.0, date(2020, 2, 10))]
    assert previous_sessions(actions, XNYS).tolist() == labels_of("2020-02-06", "2020-02-07").tolist()
    full = walk(DAYS)
    assert previous_closes(actions, XNYS, full) == {EX: full.close[1], date(2020, 2, 10): full.close[2]}
    holey = full.take(np.array([0, 2, 3]))
    assert previous_closes(actions, XNYS, holey) == {date(2020, 2, 10): full.close[2]}
    assert previous_closes(actions, XNYS, BarFrame.empty(("AAPL",))) == {}


def test_previous_sessions_given_ex_date_after_a_holiday_is_the_last_session_before_it() -> None:
    """The session before 2013-01-02 is 2012-12-31."""
    actions = [dividend(1.0, date(2013, 1, 2))]
    assert previous_sessions(actions, XNYS).tolist() == labels_of("2012-12-31").tolist()


@pytest.mark.parametrize("ex_date", [date(1899, 5, 4), date(2060, 1, 5)])
def test_rule_9_ex_date_beyond_the_calendar_is_reported_as_unadjustable(ex_date: date) -> None:
    """Where the calendar does not know the session before, no bar is looked up and nothing guessed."""
    actions = [dividend(1.0, ex_date)]
    assert previous_sessions(actions, XNYS).tolist() == [NO_SESSION_US]
    closes = previous_closes(actions, XNYS, walk(DAYS))
    factors = build_factors(actions, closes, Adjustment.ALL, date(2070, 1, 1))
    assert [finding.rule for finding in factors.rejected] == ["NO_PREVIOUS_CLOSE"]


# Properties over two years of sessions. Index 0 is no ex-date, so that each has a close before it.
SESSIONS = XNYS.label_us[slice(*np.searchsorted(XNYS.label_us, labels_of("2018-01-01", "2020-01-01")))]
DATES = [date(1970, 1, 1) + timedelta(microseconds=int(label)) for label in SESSIONS]
EX_ROWS = st.integers(1, len(SESSIONS) - 1)
ACTIONS = st.lists(
    st.one_of(
        st.builds(
            lambda row, ratio: split(ratio, DATES[row]), EX_ROWS, st.sampled_from([2.0, 3.0, 0.1])
        ),
        st.builds(lambda row, cash: dividend(cash, DATES[row]), EX_ROWS, st.floats(0.01, 5.0)),
    ),
    max_size=12,
)
RAW = walk(SESSIONS)
CLOSES = dict(zip(DATES[1:], RAW.close[:-1].tolist(), strict=True))


def factors_of(
    actions: list[CorporateAction], adjustment: Adjustment, until: date = LATE
) -> AdjustmentFactors:
    """Build factors with every previous close known."""
    return build_factors(actions, CLOSES, adjustment, until)


@given(row=EX_ROWS, cash=st.floats(0.01, 50.0))
def test_property_return_across_a_dividend_is_the_dividend_adjusted_return(
    row: int, cash: float
) -> None:
    """Into the ex-date an adjusted series earns what a holder did: price on the close less the cash."""
    adjusted = adjust_frame(RAW, factors_of([dividend(cash, DATES[row])], Adjustment.ALL)).close
    earned = RAW.close[row] / (RAW.close[row - 1] - cash)
    assert adjusted[row] / adjusted[row - 1] == pytest.approx(earned, rel=1e-12)
    others = np.delete(adjusted[1:] / adjusted[:-1], row - 1)
    np.testing.assert_allclose(others, np.delete(RAW.close[1:] / RAW.close[:-1], row - 1), rtol=1e-12)


@given(row=EX_ROWS, cash=st.floats(0.01, 5.0), ratio=st.sampled_from([2.0, 5.0, 0.1]))
def test_property_return_across_split_and_dividend_of_one_date_is_the_holders(
    row: int, cash: float, ratio: float
) -> None:
    """One old share becomes `ratio` shares that each went ex `cash`."""
    actions = [split(ratio, DATES[row]), dividend(cash, DATES[row])]
    factors = factors_of(actions, Adjustment.ALL)
    before = RAW.close[row - 1] / ratio
    if cash >= before:
        assert [finding.rule for finding in factors.rejected] == ["FACTOR_NOT_POSITIVE"]
        return
    adjusted = adjust_frame(RAW, factors).close
    earned = RAW.close[row] / (before - cash)
    assert adjusted[row] / adjusted[row - 1] == pytest.approx(earned, rel=1e-9)


@given(
    rows=st.lists(EX_ROWS, min_size=1, max_size=5, unique=True), ratio=st.sampled_from([2.0, 1.5, 0.25])
)
def test_property_splits_compose(rows: list[int], ratio: float) -> None:
    """Before all of them, prices carry the product of the factors, and turnover stays the same."""
    # Equal ratios within 7 days would read as one split told twice.
    splits = [split(ratio + position, DATES[row]) for position, row in enumerate(sorted(rows))]
    adjusted = adjust_frame(RAW, factors_of(splits, Adjustment.SPLIT))
    product = np.prod([ratio + position for position in range(len(rows))])
    assert adjusted.close[0] == pytest.approx(RAW.close[0] / product, rel=1e-12)
    np.testing.assert_allclose(adjusted.close * adjusted.volume, RAW.close * RAW.volume, rtol=1e-12)


@given(actions=ACTIONS)
def test_property_adjustments_compose(actions: list[CorporateAction]) -> None:
    """ALL is SPLIT times DIVIDEND in prices, and SPLIT alone in volume."""
    by_kind = {kind: adjust_frame(RAW, factors_of(actions, kind)) for kind in Adjustment}
    assert by_kind[Adjustment.RAW] is RAW
    splits = by_kind[Adjustment.SPLIT].close / RAW.close
    dividends = by_kind[Adjustment.DIVIDEND].close / RAW.close
    np.testing.assert_allclose(
        by_kind[Adjustment.ALL].close, RAW.close * splits * dividends, rtol=1e-12
    )
    np.testing.assert_array_equal(by_kind[Adjustment.ALL].volume, by_kind[Adjustment.SPLIT].volume)
    np.testing.assert_array_equal(by_kind[Adjustment.DIVIDEND].volume, RAW.volume)


@given(actions=ACTIONS, row=st.integers(0, len(SESSIONS) - 1))
def test_property_no_event_after_the_range_leaks_in(actions: list[CorporateAction], row: int) -> None:
    """Asked up to a session, the answer is the one of a world that knows nothing later."""
    known = [action for action in actions if action.ex_date <= DATES[row]]
    asked = RAW.take(np.arange(row + 1))
    with_later = adjust_frame(asked, factors_of(actions, Adjustment.ALL, until=DATES[row]))
    without = adjust_frame(asked, factors_of(known, Adjustment.ALL))
    np.testing.assert_array_equal(with_later.close, without.close)
    assert with_later.close[-1] == asked.close[-1]


@given(actions=ACTIONS, since=st.integers(0, len(SESSIONS) - 1))
def test_property_range_that_starts_later_has_the_same_bars(
    actions: list[CorporateAction], since: int
) -> None:
    """Where a range starts changes nothing in it: events before it are left out, not missed."""
    whole = adjust_frame(RAW, factors_of(actions, Adjustment.ALL))
    later = {ex_date: close for ex_date, close in CLOSES.items() if ex_date > DATES[since]}
    factors = build_factors(actions, later, Adjustment.ALL, LATE, since=DATES[since])
    part = adjust_frame(RAW.take(np.arange(since, len(SESSIONS))), factors)
    np.testing.assert_array_equal(part.close, whole.close[since:])
    assert "NO_PREVIOUS_CLOSE" not in {finding.rule for finding in factors.rejected}


@given(actions=st.tuples(ACTIONS, ACTIONS, ACTIONS), seed=st.integers(0, 9))
def test_property_many_symbols_in_any_order_equal_each_alone(
    actions: tuple[list[CorporateAction], ...], seed: int
) -> None:
    """Rows find their own symbol's factors, wherever they stand."""
    factors = [factors_of(list(own), Adjustment.ALL) for own in actions]
    frames = [replace(RAW, symbols=(name,)) for name in ("A", "B", "C")]
    together = side_by_side(frames)
    alone = [adjust_frame(frame, own) for frame, own in zip(frames, factors, strict=True)]
    rows = np.random.default_rng(seed).permutation(len(together))
    adjusted = adjust_frames(together.take(rows), factors)
    for column in (BarColumn.OPEN, BarColumn.CLOSE, BarColumn.VOLUME, BarColumn.VWAP):
        expected = np.concatenate([frame.column(column) for frame in alone])[rows]
        np.testing.assert_array_equal(adjusted.column(column), expected)
