"""CSV files read into bars, whoever wrote them."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.domain.bars import BarFlag
from marketdata.errors import BarFileError
from marketdata.providers.files import csv_source
from marketdata.providers.files.bar_file import BarFile
from marketdata.providers.files.fields import FileKind
from marketdata.providers.files.options import CsvDialect
from tests.support.bar_files import HEADER, NOW_US, file_options, read_csv, read_file, rows_of
from tests.support.bars import Bar

JAN_2 = 1_704_153_600_000_000
DAY = 86_400_000_000
ROW = "2024-01-02,10,12,9,11,100"
BAR = Bar("AAPL", JAN_2, feed=0)


def test_read_given_a_plain_file_gives_its_bars(tmp_path: Path) -> None:
    """Final bars of the default feed; what the file does not have is missing, nothing is invented."""
    found = read_csv(tmp_path, f"{HEADER}\n{ROW}\n")
    assert found.bars == [BAR]
    assert (found.lines, found.rejected, found.feeds) == ([2], [], ("manual/upload",))
    assert found.bars[0].flags == BarFlag.FINAL


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER}\n{ROW}",
        f"{HEADER}\r\n{ROW}\r\n",
        f"{HEADER}\r{ROW}\r",
        f"\ufeff{HEADER}\n{ROW}\n",
        HEADER.replace(",", ";") + "\n" + ROW.replace(",", ";"),
        HEADER.replace(",", "\t") + "\n" + ROW.replace(",", "\t"),
        HEADER.replace(",", "|") + "\n" + ROW.replace(",", "|"),
        "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in (HEADER, ROW)),
        f'{HEADER},Name\n{ROW},"Apple, Inc."\n',
    ],
    ids=["no-end", "crlf", "cr", "bom", "semicolon", "tab", "bar", "quotes", "quoted-comma"],
)  # fmt: skip
def test_read_given_any_usual_dialect_gives_the_same_bars(tmp_path: Path, content: str) -> None:
    """Line ends, byte order mark, delimiters and quotes are recognised."""
    found = read_csv(tmp_path, content)
    assert (found.bars, found.lines, found.rejected) == ([BAR], [2], [])


def test_read_given_semicolons_and_decimal_commas_reads_them(tmp_path: Path) -> None:
    """What a spreadsheet in most of Europe writes."""
    content = "Date;Open;High;Low;Close\n2024-01-02;10,5;12,25;9;11\n2024-01-03;10.5;12;9;11\n"
    found = read_csv(tmp_path, content, decimal=",")
    assert found.bars == [Bar("AAPL", JAN_2, 10.5, 12.25, 9, 11, None, feed=0)]
    assert found.rejected == [(3, "NOT_A_NUMBER", "open", "10.5")]


def test_read_given_a_delimiter_follows_it(tmp_path: Path) -> None:
    """A header that has more of another character does not mislead."""
    content = "Date~Open~High~Low~Close~a,b,c,d,e,f,g\n2024-01-02~10~12~9~11~\n"
    assert len(read_csv(tmp_path, content, delimiter="~").bars) == 1


def test_read_given_blank_lines_counts_lines_and_not_rows(tmp_path: Path) -> None:
    """Empty lines, also before the header, and rows of delimiters alone are nothing."""
    content = f"\n\n{HEADER}\n\n{ROW}\n,,,,,\n\n2024-01-03,10,12,9,x,1\n\n"
    found = read_csv(tmp_path, content)
    assert (found.lines, found.rows) == ([5], 2)
    assert found.rejected == [(8, "NOT_A_NUMBER", "close", "x")]


def test_read_given_quoted_line_breaks_counts_every_line(tmp_path: Path) -> None:
    """A note of three lines moves all rows below it."""
    content = f'{HEADER},"a\nnote"\n{ROW},"one\r\ntwo\nthree"\n2024-01-03,10,12,9,x,1,\n'
    found = read_csv(tmp_path, content)
    assert [row[0] for row in found.rejected] == [6]


def test_read_given_rows_of_other_lengths_rejects_them_alone(tmp_path: Path) -> None:
    """Notes below a table, and rows that were cut."""
    content = f"{HEADER}\n2024-01-03,10\n{ROW}\n{ROW},1\nSource: a vendor\n"
    found = read_csv(tmp_path, content)
    assert (found.bars, found.lines) == ([BAR], [3])
    assert found.rejected == [
        (2, "WRONG_COLUMN_COUNT", "", "2024-01-03,10"),
        (4, "WRONG_COLUMN_COUNT", "", f"{ROW},1"),
        (5, "WRONG_COLUMN_COUNT", "", "Source: a vendor"),
    ]
    assert found.rejected_rows == 3


def test_read_given_several_bad_cells_blames_each_of_them(tmp_path: Path) -> None:
    """A row is rejected once, and every reason is said."""
    found = read_csv(tmp_path, rows_of(("x", "y", 12, 9, 11, "z"), ROW.split(",")))
    assert found.rejected == [
        (2, "NOT_A_NUMBER", "open", "y"),
        (2, "NOT_A_NUMBER", "volume", "z"),
        (2, "NOT_A_TIME", "time", "x"),
    ]
    assert (found.rejected_rows, found.bars) == (1, [BAR])


def test_read_given_bytes_that_are_no_utf_8_costs_only_their_cells(tmp_path: Path) -> None:
    """A Latin-1 name beside good prices is no reason to stop, nor is a bad row with one."""
    content = f"{HEADER},Name\n{ROW},Nestl\xe9\n2024-01-03,1\xe9\n2024-01-04,10,12,9,1\xe9,1,\n"
    found = read_csv(tmp_path, content.encode("latin-1"))
    assert found.bars == [BAR]
    assert found.rejected == [
        (3, "WRONG_COLUMN_COUNT", "", "2024-01-03,1?"),
        (4, "NOT_A_NUMBER", "close", "1?"),
    ]


def test_read_given_utf_8_keeps_it(tmp_path: Path) -> None:
    """A header and a value beyond ASCII are read as they are."""
    content = "Zeit,Öffnung,High,Low,Close\n2024-01-02,€1,12,9,11\n"
    found = read_csv(tmp_path, content, "time=Zeit", "open=Öffnung")
    assert found.rejected == [(2, "NOT_A_NUMBER", "open", "€1")]


def test_read_given_no_header_maps_by_number(tmp_path: Path) -> None:
    """Lines are counted from the first row then."""
    numbers = ("time=#1", "open=#2", "high=#3", "low=#4", "close=#5", "volume=#6")
    found = read_csv(tmp_path, f"{ROW}\n2024-01-03,x,12,9,11,1\n", *numbers, has_header=False)
    assert (found.bars, found.lines) == ([BAR], [1])
    assert found.rejected == [(2, "NOT_A_NUMBER", "open", "x")]


def test_read_given_date_and_time_in_two_columns_joins_them(tmp_path: Path) -> None:
    """As MetaTrader and Stooq write them."""
    content = "<TICKER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>\nIBM,20240102,143000,10,12,9,11\n"
    found = read_csv(tmp_path, content, timeframe="1m", symbol=None)
    expected = Bar("IBM", JAN_2 + 870 * 60_000_000, volume=None, feed=0)
    assert found.bars == [expected]


@pytest.mark.parametrize("content", [HEADER, f"{HEADER}\n", f"\ufeff{HEADER}\r\n\r\n"])
def test_read_given_a_header_alone_gives_no_bars(tmp_path: Path, content: str) -> None:
    """An empty table is a table."""
    found = read_csv(tmp_path, content)
    assert (found.rows, found.bars, found.rejected) == (0, [], [])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "bars.csv is empty"),
        (b"\n\n \n", "bars.csv is empty"),
        (HEADER.encode("utf-16"), "is UTF-16; make it UTF-8: iconv"),
        (b"PAR1\0\0", "import parquet"),
        (b"a,b\n1,2\n", "no column was recognised"),
    ],
)
def test_open_given_what_is_no_table_says_what_to_do(tmp_path: Path, content: bytes, said: str) -> None:
    """Nothing can be read of it, and the reason is said."""
    with pytest.raises(BarFileError, match=said):
        read_csv(tmp_path, content)


def test_open_given_no_file_says_so(tmp_path: Path) -> None:
    """The system's reason, in words."""
    with pytest.raises(BarFileError, match="cannot be read: No such file"):
        read_file(tmp_path / "none.csv", FileKind.CSV, file_options())


def test_read_given_a_quote_that_does_not_end_tells_where_it_begins(tmp_path: Path) -> None:
    """It swallows what follows: whoever sees one rejected row must see why."""
    content = f'{HEADER}\n{ROW}\n"2024-01-03,10,12,9,11,1\n' + f"{ROW}\n" * 3
    found = read_csv(tmp_path, content)
    assert (found.bars, found.rejected_rows) == ([BAR], 1)
    assert found.rejected[0][:2] == (3, "WRONG_COLUMN_COUNT")


def test_read_given_a_quote_that_does_not_end_within_a_block_stops_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded: a row as long as a block is none, and what came before is kept."""
    monkeypatch.setattr(csv_source, "_CHUNK_BYTES", 256)
    content = f'{HEADER}\n{ROW}\n"2024-01-03,10,12,9,11,1\n' + f"{ROW}\n" * 30
    path = tmp_path / "bars.csv"
    path.write_text(content, encoding="utf-8")
    with BarFile(path, FileKind.CSV, file_options()) as file:
        blocks = file.blocks(NOW_US)
        assert next(blocks).lines.tolist() == [2]
        with pytest.raises(BarFileError, match="past line 2: a quote that begins there does not end"):
            next(blocks)


def test_read_given_another_delimiter_all_along_gives_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows without columns are not piled up without bound."""
    monkeypatch.setattr(csv_source, "_MOST_SKIPPED_ROWS", 10)
    with pytest.raises(BarFileError, match="is --delimiter right"):
        read_csv(tmp_path, f"{HEADER}\n" + "2024-01-02;10;12;9;11;100\n" * 50)


@pytest.mark.parametrize("suffix", [".csv.gz", ".CSV.GZ"])
def test_read_given_a_compressed_file_unpacks_it(tmp_path: Path, suffix: str) -> None:
    """Known by its suffix; its size is the packed one, which progress is measured by."""
    path = tmp_path / f"bars{suffix}"
    path.write_bytes(gzip.compress(f"{HEADER}\n{ROW}\n".encode()))
    assert read_file(path, FileKind.CSV, file_options()).bars == [BAR]


def test_read_given_a_damaged_compressed_file_says_so(tmp_path: Path) -> None:
    """A download that was cut is told from a good one."""
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(gzip.compress((f"{HEADER}\n" + f"{ROW}\n" * 9_999).encode())[:-20])
    with pytest.raises(BarFileError, match=r"bars\.csv\.gz cannot be read"):
        read_file(path, FileKind.CSV, file_options())


@pytest.mark.parametrize(
    ("timeframe", "options", "said"),
    [
        ("5m", {}, "import one of 1m, 1h, 1d"),
        ("1d", {"symbol": "aapl"}, "--symbol aapl is not a ticker"),
        ("1d", {"decimal": ";"}, r"is \. or ,"),
        ("1d", {"delimiter": "ab"}, "is one character"),
        ("1d", {"delimiter": ",", "decimal": ","}, "are both ,"),
        ("1d", {"time_zone": "Mars/Base"}, "--time-zone Mars/Base: is not known"),
        ("1d", {"time_format": "%q"}, "%q is not known"),
    ],
)
def test_open_given_a_wrong_option_says_which(
    tmp_path: Path, timeframe: str, options: dict[str, str], said: str
) -> None:
    """Before a row is read."""
    with pytest.raises(BarFileError, match=said):
        read_csv(tmp_path, f"{HEADER}\n{ROW}\n", timeframe=timeframe, **options)


CELLS = st.text(st.sampled_from('ab,"\n1 é'), max_size=6)


@given(
    rows=st.lists(st.one_of(st.just([]), st.lists(CELLS, min_size=1, max_size=4)), max_size=30),
    line_end=st.sampled_from(["\n", "\r\n"]),
    chunk_bytes=st.sampled_from([150, 4096]),
)
def test_lines_given_any_rows_are_those_on_which_they_begin(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], line_end: str, chunk_bytes: int
) -> None:
    """Quoted line breaks, blank lines and rows of other lengths, across blocks: every line is right."""
    content = f"h1,h2,h3{line_end}"
    whole: list[int] = []
    other: list[int] = []
    for row in rows:
        (whole if len(row) in (0, 3) else other).append(content.count("\n") + 1)
        quoted = ('"' + cell.replace('"', '""') + '"' for cell in row)
        content += ",".join(quoted) + line_end
    path = tmp_path_factory.mktemp("csv") / "any.csv"
    path.write_bytes(content.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_source, "_CHUNK_BYTES", chunk_bytes)
        patch.setattr(csv_source, "_ROWS_A_BLOCK", 7)
        with csv_source.CsvSource(path, CsvDialect()) as source:
            blocks = list(source.blocks({0, 2}))
    assert [line for block in blocks for line in block.lines.tolist()] == whole
    groups = [group for block in blocks for group in block.rejected]
    assert sorted(line for group in groups for line in group.lines.tolist()) == other


def test_position_given_a_reader_that_is_ahead_follows_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress is of the rows that were handed over, and ends with the size of the file."""
    monkeypatch.setattr(csv_source, "_CHUNK_BYTES", 1_000)
    monkeypatch.setattr(csv_source, "_ROWS_A_BLOCK", 1)
    path = tmp_path / "bars.csv"
    path.write_text(f"{HEADER}\n" + f"{ROW}\n" * 500, encoding="utf-8")
    with BarFile(path, FileKind.CSV, file_options()) as file:
        blocks = list(file.blocks(NOW_US))
        assert [block.position for block in blocks[:3]] == [1_000, 2_000, 3_000]
        assert blocks[-1].position == file.size
