"""Tables: plain, whole, and of whatever text there is."""

import pytest
from rich.console import Console
from rich.text import Text

from marketdata.cli import output
from marketdata.cli.output import print_table


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Give the lines on standard output, right-hand space cut off."""
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_print_table_given_numbers_aligns_them_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    """Texts stand to the left, numbers to the right, and no frame surrounds them."""
    print_table(["symbol", "close"], [["AAPL", "44.86"], ["IBM", "1,000.00"]], numbers_from=1)
    lines = printed(capsys)
    assert lines[0] == "symbol     close"
    assert lines[2:] == ["AAPL       44.86", "IBM     1,000.00"]


@pytest.mark.parametrize("text", ["[/NV]", "[bold]x", "[red]x[/red]", "a]b[c", "\\[x]", ":smile:"])
def test_print_table_given_text_with_markup_prints_it_as_it_is(
    capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """Names come from anybody: what looks like markup is text, and fails nothing."""
    print_table(["name"], [[text]], numbers_from=1)
    assert printed(capsys)[2:] == [text]


def test_print_table_given_styled_text_prints_it_plainly_in_a_pipe(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A style is for terminals: a pipe gets no control characters."""
    print_table(["state"], [[Text("problem", style="bold red")]], numbers_from=1)
    assert printed(capsys)[2:] == ["problem"]


def test_print_table_given_no_rows_prints_the_headings(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty table is one of its headings."""
    print_table(["symbol", "name"], [], numbers_from=2)
    assert printed(capsys)[0] == "symbol  name"


@pytest.mark.parametrize(
    ("columns", "expected", "missing"),
    [
        (28, "AAPL  44.86  1,000,000  eod", ""),
        (27, "AAPL  44.86  1,000,000", "feed"),
        (22, "AAPL  44.86  1,000,000", "feed"),
        (21, "AAPL  44.86", "feed, volume"),
    ],
)
def test_print_table_given_little_room_leaves_columns_out_whole(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
    expected: str,
    missing: str,
) -> None:
    """A number that is cut is another number: whole columns go, and are named."""
    monkeypatch.setattr(output, "OUT", Console(width=columns, highlight=False))
    headings = ["s", "close", "volume", "feed"]
    rows = [["AAPL", "44.86", "1,000,000", "eod"]]
    print_table(headings, rows, numbers_from=1, spare=["feed", "volume"])
    printed = capsys.readouterr()
    assert printed.out.splitlines()[2].split() == expected.split()
    assert (f"No room for: {missing}" in printed.err) is bool(missing)
