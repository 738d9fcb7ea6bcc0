"""The sample's bars: columns, values and the rules they keep."""

from datetime import date

import numpy as np
import pytest

from marketdata.domain.bar_rules import check_bars
from marketdata.domain.bars import BarColumn, BarFlag
from marketdata.domain.symbol import symbol_problem
from marketdata.domain.timeframe import MICROSECONDS_PER_DAY, Timeframe
from marketdata.providers.sample.parse import SAMPLE_HEADER, SampleStock, parse_stocks
from marketdata.providers.sample.source import fetch_sample_stocks, locate_sample, read_sample_text

# The day after the last session.
NOW_US = int(np.datetime64("2013-03-02", "us").astype(np.int64))

TWO_STOCKS = f"""{SAMPLE_HEADER}
FB,2012-05-18,42.05,45.0,38.0,38.2318,573576400,38.2318
IBM,2000-03-01,102.0,105.5,100.06,100.25,10807800,78.5
IBM,2000-03-02,103.25,104.0,101.5,103.12,7000100,80.7
"""


@pytest.fixture(scope="module")
def stocks() -> dict[str, SampleStock]:
    """All stocks of the installed sample by ticker."""
    return {stock.symbol.symbol: stock for stock in fetch_sample_stocks()}


def time_us(session: str) -> int:
    """Label of a daily bar."""
    return int(np.datetime64(session, "us").astype(np.int64))


def bar(stock: SampleStock, session: str) -> tuple[float, ...]:
    """OHLCV of one session."""
    row = int(np.flatnonzero(stock.bars.time_us == time_us(session))[0])
    columns = ("open", "high", "low", "close", "volume")
    return tuple(float(getattr(stock.bars, column)[row]) for column in columns)


def test_parse_stocks_given_two_stocks_splits_them_by_ticker() -> None:
    """Each stock gets its own rows, in their order."""
    fb, ibm = parse_stocks(TWO_STOCKS)
    assert (fb.symbol.symbol, fb.bars.symbols) == ("FB", ("FB",))
    assert fb.bars.close.tolist() == [38.2318]
    assert (ibm.symbol.symbol, ibm.bars.symbols) == ("IBM", ("IBM",))
    assert ibm.bars.open.tolist() == [102.0, 103.25]
    assert ibm.bars.high.tolist() == [105.5, 104.0]
    assert ibm.bars.low.tolist() == [100.06, 101.5]
    assert ibm.bars.volume.tolist() == [10807800.0, 7000100.0]


def test_parse_stocks_given_dates_labels_bars_by_session_at_midnight_utc() -> None:
    """A daily bar's time is its session date at 00:00:00 UTC."""
    _, ibm = parse_stocks(TWO_STOCKS)
    assert ibm.bars.time_us.tolist() == [951_868_800_000_000, 951_955_200_000_000]


def test_parse_stocks_given_any_stock_marks_what_the_source_does_not_tell() -> None:
    """No vwap, no trade count, final, never revised, of the sample's feed."""
    for stock in parse_stocks(TWO_STOCKS):
        bars = stock.bars
        assert np.isnan(bars.vwap).all()
        assert set(bars.trade_count.tolist()) == {-1}
        assert set(bars.flags.tolist()) == {BarFlag.FINAL}
        assert set(bars.revision.tolist()) == {0}
        assert {bars.feeds[key] for key in bars.feed.tolist()} == {"sample/eod"}


def test_parse_stocks_given_any_stock_fills_every_column_with_owned_memory() -> None:
    """Columns are contiguous and do not keep the parsed text's rows alive."""
    for stock in parse_stocks(TWO_STOCKS):
        for column in BarColumn:
            array = stock.bars.column(column)
            assert array.shape == (len(stock.bars),)
            assert array.flags.c_contiguous
            assert array.base is None


def test_parse_stocks_given_only_a_header_returns_no_stocks() -> None:
    """A text without rows has no stocks."""
    with pytest.warns(UserWarning, match="no data"):
        assert parse_stocks(f"{SAMPLE_HEADER}\n") == ()


@pytest.mark.parametrize("text", ["", "Ticker,Date,Close\nIBM,2000-03-01,1\n"])
def test_parse_stocks_given_another_header_raises_value_error(text: str) -> None:
    """Columns in another order would be silently wrong prices."""
    with pytest.raises(ValueError, match="expected 'Ticker,Date,Open"):
        parse_stocks(text)


def test_parse_stocks_given_unknown_ticker_raises_value_error() -> None:
    """A ticker that only starts like one of the sample is not taken for it."""
    with pytest.raises(ValueError, match="GOOGL: not among the stocks"):
        parse_stocks(TWO_STOCKS.replace("FB,", "GOOGL,"))


def test_parse_stocks_given_a_value_that_is_no_number_raises_value_error() -> None:
    """A broken line does not become a bar."""
    with pytest.raises(ValueError, match="convert"):
        parse_stocks(TWO_STOCKS.replace("45.0", "n/a"))


@pytest.mark.parametrize(
    ("ticker", "rows", "first", "last"),
    [
        ("AAPL", 3270, "2000-03-01", "2013-03-01"),
        ("FB", 196, "2012-05-18", "2013-03-01"),
        ("GOOG", 2148, "2004-08-19", "2013-03-01"),
        ("IBM", 3270, "2000-03-01", "2013-03-01"),
        ("MSFT", 3270, "2000-03-01", "2013-03-01"),
    ],
)
def test_sample_given_each_stock_has_its_known_rows_and_range(
    stocks: dict[str, SampleStock], ticker: str, rows: int, first: str, last: str
) -> None:
    """Row counts and ranges are those that the data set states."""
    bars = stocks[ticker].bars
    assert len(bars) == rows
    assert bars.time_us[[0, -1]].tolist() == [time_us(first), time_us(last)]
    assert np.all(np.diff(bars.time_us) > 0)


def test_sample_given_any_stock_breaks_no_rule_of_bars(stocks: dict[str, SampleStock]) -> None:
    """All 12,154 bars may be stored as they are."""
    for stock in stocks.values():
        assert check_bars(stock.bars, Timeframe.DAY_1, NOW_US) == []


def test_sample_given_the_whole_text_equals_a_line_by_line_reading(
    stocks: dict[str, SampleStock],
) -> None:
    """Every number of every line arrives unchanged."""
    lines = read_sample_text(locate_sample()).splitlines()[1:]
    read: dict[str, list[list[float]]] = {ticker: [] for ticker in stocks}
    for line in lines:
        ticker, session, *values = line.split(",")
        day = date.fromisoformat(session).toordinal() - date(1970, 1, 1).toordinal()
        read[ticker].append([day * MICROSECONDS_PER_DAY, *map(float, values[:5])])
    for ticker, stock in stocks.items():
        bars = stock.bars
        columns = (bars.time_us, bars.open, bars.high, bars.low, bars.close, bars.volume)
        assert np.array_equal(np.column_stack(columns), np.array(read[ticker]))


def test_sample_given_split_sessions_holds_prices_as_traded(stocks: dict[str, SampleStock]) -> None:
    """Prices are raw: they halve over a 2:1 split."""
    assert bar(stocks["AAPL"], "2000-06-20")[3] == 101.25
    assert bar(stocks["AAPL"], "2000-06-21")[3] == 55.63
    assert bar(stocks["MSFT"], "2003-02-14")[3] == 48.3
    assert bar(stocks["MSFT"], "2003-02-18")[3] == 24.96


def test_sample_given_suspect_rows_passes_them_on_as_supplied(
    stocks: dict[str, SampleStock],
) -> None:
    """Known oddities of the source are neither mended nor dropped."""
    aapl, msft = stocks["AAPL"], stocks["MSFT"]
    assert bar(aapl, "2003-01-29")[:4] == bar(aapl, "2003-01-28")[:4]
    assert bar(msft, "2003-02-18")[4] == 28_707_750


def test_sample_given_companies_describes_each_as_quoted_in_new_york(
    stocks: dict[str, SampleStock],
) -> None:
    """Venue, calendar, zone, currency and first session fit the bars."""
    for ticker, stock in stocks.items():
        company = stock.symbol
        assert symbol_problem(company.symbol) is None
        assert company.name
        assert company.venue == ("XNYS" if ticker == "IBM" else "XNAS")
        assert (company.calendar, company.time_zone) == ("XNYS", "America/New_York")
        assert company.currency == "USD"
        if company.ipo_date is not None:
            assert time_us(company.ipo_date.isoformat()) <= stock.bars.time_us[0]


def test_sample_given_fb_and_goog_starts_on_their_first_session(
    stocks: dict[str, SampleStock],
) -> None:
    """The two stocks that went public within the sample have bars from that day on."""
    for ticker in ("FB", "GOOG"):
        ipo_date = stocks[ticker].symbol.ipo_date
        assert ipo_date is not None
        assert stocks[ticker].bars.time_us[0] == time_us(ipo_date.isoformat())
