"""Which column of a file holds what."""

import pytest

from marketdata.errors import BarFileError
from marketdata.providers.files.fields import FileField
from marketdata.providers.files.mapping import map_columns, parse_assignments

OHLC = ("Open", "High", "Low", "Close")


def mapped(headers: tuple[str, ...], *assignments: str, has_one_symbol: bool = True) -> dict[str, str]:
    """Map columns; give the header of each field."""
    found = map_columns(headers, parse_assignments(assignments), has_one_symbol=has_one_symbol)
    return {field.value: headers[position] for field, position in found.positions.items()}


def refusal(headers: tuple[str, ...], *assignments: str, has_one_symbol: bool = True) -> str:
    """Map columns that cannot be mapped; give what is said."""
    with pytest.raises(BarFileError) as caught:
        mapped(headers, *assignments, has_one_symbol=has_one_symbol)
    return str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [
        ("Date", *OHLC, "Volume"),
        ("Datetime", *OHLC, "Volume"),
        ("timestamp", "open", "high", "low", "close", "volume"),
        ("t", "o", "h", "l", "c", "v"),
        (" TIME ", "1. open", "2. high", "3. low", "4. close", "5. volume"),
        ("<DATE>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<VOL>"),
        ("window_start", "open", "high", "low", "close", "volume"),
        ("Date", "Open", "High", "Low", "Close/Last", "Volume"),
    ],
)
def test_map_columns_given_usual_headers_recognises_them(headers: tuple[str, ...]) -> None:
    """What vendors, spreadsheets and pandas write needs no mapping."""
    fields = ("time", "open", "high", "low", "close", "volume")
    assert mapped(headers) == dict(zip(fields, headers, strict=True))


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("Ticker", "symbol"),
        ("VWAP", "vwap"),
        ("trades", "trade_count"),
        ("Trade Count", "trade_count"),
        ("transactions", "trade_count"),
        ("feed", "feed"),
        ("flags", "flags"),
    ],
)
def test_map_columns_given_further_headers_recognises_them(header: str, field: str) -> None:
    """So do the columns that only some files have."""
    found = mapped(("Date", *OHLC, header), has_one_symbol=field != "symbol")
    assert found[field] == header


@pytest.mark.parametrize(
    "header", ["Adj Close", "Last", "ts_event", "Dividends", "", "close_time", "n", "T", "v"]
)
def test_map_columns_given_a_header_that_could_mean_another_thing_leaves_it_out(header: str) -> None:
    """An adjusted close is no close: what is not certain is not used."""
    assert header not in mapped((header, "Date", *OHLC)).values()


def test_map_columns_given_date_and_time_apart_takes_both() -> None:
    """Some vendors write the day and the time of day in two columns."""
    found = mapped(("<DATE>", "<TIME>", *OHLC))
    assert (found["date"], found["time"]) == ("<DATE>", "<TIME>")


def test_map_columns_given_time_assigned_does_not_join_a_date() -> None:
    """Whoever says where the time stands means that column alone."""
    found = mapped(("Date", "Stamp", *OHLC), "time=Stamp")
    assert found["time"] == "Stamp"
    assert "date" not in found


def test_map_columns_given_two_times_asks_which() -> None:
    """A date and a timestamp may differ: neither is taken by chance."""
    said = refusal(("Date", "timestamp", *OHLC))
    assert "#1 'Date' and #2 'timestamp' could be time" in said
    assert "--map time=#1" in said


def test_map_columns_given_assignments_prefers_them() -> None:
    """What is asked for goes before what would be recognised."""
    headers = ("Date", *OHLC, "Adj Close")
    assert mapped(headers, "close=Adj Close")["close"] == "Adj Close"
    assert mapped(headers, "close=adj close")["close"] == "Adj Close"
    assert mapped(headers, "close=#6")["close"] == "Adj Close"


def test_map_columns_given_an_empty_assignment_leaves_the_column_out() -> None:
    """``--map volume=``: the file's volume is not wanted."""
    assert "volume" not in mapped(("Date", *OHLC, "Volume"), "volume=")


def test_map_columns_given_a_repeated_header_asks_which_and_takes_a_number() -> None:
    """Two columns of one name: only a number tells them apart."""
    headers = ("Date", *OHLC, "Close")
    assert "#5 'Close' and #6 'Close' could be close" in refusal(headers)
    assert "#5 'Close' and #6 'Close'" in refusal(headers, "close=Close")
    found = map_columns(headers, parse_assignments(["close=#6"]), has_one_symbol=True)
    assert found.positions[FileField.CLOSE] == 5


def test_map_columns_given_a_repeated_header_that_nobody_needs_takes_the_rest() -> None:
    """A column twice that no bar is made of does no harm."""
    assert mapped(("Date", *OHLC, "note", "note"))["close"] == "Close"


def test_map_columns_given_missing_columns_names_all_and_how_to_map_them() -> None:
    """The error is the manual: every missing field, the option, the columns that there are."""
    said = refusal(("Stamp", "Open", "High", "Low", "Price"), has_one_symbol=False)
    assert "recognised for time, close" in said
    assert "--map time=COLUMN --map close=COLUMN" in said
    assert "--symbol AAPL" in said
    assert "'Stamp', 'Open', 'High', 'Low', 'Price'" in said


def test_map_columns_given_a_bar_as_header_suggests_no_header() -> None:
    """A file without a header is recognised by its numbers."""
    assert "--no-header" in refusal(("2024-01-02", "1.5", "2", "1", "1.5"))


def test_map_columns_given_one_symbol_and_a_column_of_symbols_refuses() -> None:
    """Many stocks must not become one."""
    headers = ("Ticker", "Date", *OHLC)
    assert "'Ticker' holds symbols" in refusal(headers)
    assert "symbol" not in mapped(headers, "symbol=")


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("close", "write FIELD=COLUMN"),
        ("price=Close", "write FIELD=COLUMN"),
        ("close=Last", "there is no such column"),
        ("close=#9", "there are 5 columns"),
    ],
)
def test_map_columns_given_a_wrong_assignment_says_what_is_wrong(assignment: str, said: str) -> None:
    """An assignment that cannot be followed is refused."""
    assert said in refusal(("Date", *OHLC), assignment)


def test_parse_assignments_given_a_field_twice_refuses() -> None:
    """Nothing tells which of them was meant."""
    with pytest.raises(BarFileError, match="close is assigned twice"):
        parse_assignments(["close=A", "close=B"])


def test_column_map_describes_what_is_used_and_what_is_not() -> None:
    """People see what was recognised before anything is stored."""
    found = map_columns(("Date", *OHLC, "Adj Close"), {}, has_one_symbol=True)
    assert found.describe() == (
        "time = 'Date', open = 'Open', high = 'High', low = 'Low', close = 'Close';"
        " not used: 'Adj Close'"
    )
