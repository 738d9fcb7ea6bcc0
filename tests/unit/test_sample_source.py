"""The sample's client: locating, reading and refusing the installed file."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from marketdata.errors import SampleUnavailableError, SetupError
from marketdata.providers.sample.parse import SAMPLE_HEADER
from marketdata.providers.sample.source import (
    SAMPLE_PACKAGE,
    fetch_sample_stocks,
    locate_sample,
    read_sample_text,
)

REMEDY = r"pip install 'bifrost-marketdata\[sample\]'"


def test_fetch_sample_stocks_given_installed_package_returns_the_five_stocks() -> None:
    """The sample is AAPL, FB, GOOG, IBM and MSFT with their whole series."""
    bars = {stock.symbol.symbol: len(stock.bars) for stock in fetch_sample_stocks()}
    assert bars == {"AAPL": 3270, "FB": 196, "GOOG": 2148, "IBM": 3270, "MSFT": 3270}


def test_fetch_sample_stocks_given_fresh_process_imports_neither_pandas_nor_the_package() -> None:
    """The sample costs no import of pandas, which is no dependency of the service."""
    code = (
        "import sys; from marketdata.providers.sample.source import fetch_sample_stocks as fetch;"
        f"fetch(); sys.exit(bool({{'pandas', '{SAMPLE_PACKAGE}'}} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_fetch_sample_stocks_given_missing_package_raises_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the package the error says what to install."""
    monkeypatch.setitem(sys.modules, SAMPLE_PACKAGE, None)
    with pytest.raises(SampleUnavailableError, match=rf"not installed.*{REMEDY}"):
        fetch_sample_stocks()


def test_locate_sample_given_a_module_of_the_same_name_raises(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A stray module that is no package does not pass for the sample."""
    (tmp_path / f"{SAMPLE_PACKAGE}.py").touch()
    monkeypatch.delitem(sys.modules, SAMPLE_PACKAGE, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SampleUnavailableError, match=REMEDY):
        locate_sample()


def test_read_sample_text_given_missing_file_raises_with_path_and_remedy(tmp_path: Path) -> None:
    """A release without the file is refused, and the message names the file."""
    with pytest.raises(SampleUnavailableError, match=rf"stocks\.csv\.gz.*{REMEDY}"):
        read_sample_text(tmp_path / "stocks.csv.gz")


@pytest.mark.parametrize("damage", ["no gzip", "cut off", "flipped"])
def test_read_sample_text_given_damaged_file_raises(tmp_path: Path, damage: str) -> None:
    """A damaged file is refused, however it is damaged."""
    packed = bytearray(locate_sample().read_bytes())
    if damage == "no gzip":
        packed[:2] = b"PK"
    elif damage == "cut off":
        del packed[1000:]
    else:
        packed[1000:1100] = bytes(100)
    path = tmp_path / "stocks.csv.gz"
    path.write_bytes(packed)
    with pytest.raises(SampleUnavailableError, match=REMEDY):
        read_sample_text(path)


def test_read_sample_text_given_other_content_raises(tmp_path: Path) -> None:
    """A readable file with other rows is refused: its splits and dividends are not verified."""
    path = tmp_path / "stocks.csv.gz"
    path.write_bytes(gzip.compress(f"{SAMPLE_HEADER}\n".encode()))
    with pytest.raises(SampleUnavailableError, match=rf"not that of .* 2026\.1.*{REMEDY}"):
        read_sample_text(path)


def test_read_sample_text_given_same_content_packed_anew_returns_it(tmp_path: Path) -> None:
    """Only the content counts, not how it was packed."""
    text = read_sample_text(locate_sample())
    path = tmp_path / "stocks.csv.gz"
    path.write_bytes(gzip.compress(text.encode(), compresslevel=1))
    assert read_sample_text(path) == text


def test_sample_unavailable_error_given_the_error_tree_is_a_setup_error() -> None:
    """An operator's problem ends a command and never travels over gRPC."""
    assert issubclass(SampleUnavailableError, SetupError)
