"""A folder of files as a provider: what it reads, and what it refuses."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

from marketdata.clock import ManualClock
from marketdata.domain.bars import BarFlag
from marketdata.domain.exchange_hours import get_calendar
from marketdata.domain.symbol import Symbol
from marketdata.domain.time_range import TimeRange
from marketdata.domain.timeframe import Timeframe
from marketdata.errors import (
    ProviderAnswerError,
    ProviderSymbolError,
    ProviderUnavailableError,
)
from marketdata.providers.files.archive_actions import parse_actions
from marketdata.providers.files.archive_end import first_missing_session
from marketdata.providers.files.arrow_batch import to_record_batch
from marketdata.providers.files.provider import FilesProvider
from marketdata.providers.protocol import BarsPage, BarsRequest
from tests.support.sessions import dates_between, local_us, walk

_NOW_US = local_us("2049-01-04 12:00")
_AAPL = Symbol("AAPL", venue="XNAS")
_WEEK = dates_between("2024-01-01", "2024-01-08")
_DAYS = "Date,Open,High,Low,Close,Volume\n2024-01-02,187.15,188.44,183.89,185.64,82488700\n"
_LONG_AGO_NS = 10**18


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[FilesProvider]:
    """Read `tmp_path`."""
    provider = FilesProvider(tmp_path, ManualClock(_NOW_US))
    yield provider
    await provider.aclose()


def _write(folder: Path, text: str, name: str = "1d/AAPL.csv") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


async def _pages(
    provider: FilesProvider,
    symbol: Symbol = _AAPL,
    wanted: TimeRange = _WEEK,
    timeframe: Timeframe = Timeframe.DAY_1,
) -> list[BarsPage]:
    request = BarsRequest(symbol, timeframe, wanted)
    return [page async for page in provider.fetch_bars(request)]


async def test_bars_given_prices_that_are_missing_are_nan_and_numbers_that_are_none_refused(
    provider: FilesProvider, tmp_path: Path
) -> None:
    """An empty cell is for the rules of quality; one that cannot be read is named by file and line."""
    _write(tmp_path, _DAYS + "2024-01-03,,185.88,183.43,184.25,58414500\n")
    (page,) = await _pages(provider)
    assert np.isnan(page.frame.open).tolist() == [False, True]

    _write(tmp_path, _DAYS + "2024-01-03,184.22,185.88,x183.43,184.25,58414500\n")
    with pytest.raises(ProviderAnswerError, match=r"1d/AAPL\.csv, line 3: low 'x183\.43'"):
        await _pages(provider)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("2024-01-03,184.22", "line 3.*cells"),
        ("01/02/03,1,1,1,1,1", "line 3: time '01/02/03' is no time.*write 2024-01-02"),
    ],
)
async def test_bars_given_a_row_that_is_none_name_the_line_and_what_to_write(
    provider: FilesProvider, tmp_path: Path, row: str, why: str
) -> None:
    """Options of an import are no remedy here."""
    _write(tmp_path, f"{_DAYS}{row}\n")

    with pytest.raises(ProviderAnswerError, match=why) as refusal:
        await _pages(provider)

    assert "--" not in refusal.value.message


async def test_bars_given_columns_of_other_names_say_which_are_needed(
    provider: FilesProvider, tmp_path: Path
) -> None:
    """The message lists what there is."""
    _write(tmp_path, "a,b\n1,2\n")

    with pytest.raises(ProviderAnswerError, match=r"are a, b; it needs time \(or date\), open"):
        await _pages(provider)


async def test_bars_given_a_vendors_newest_first_come_ascending(
    provider: FilesProvider, tmp_path: Path
) -> None:
    """Downloads of days often begin with the latest one."""
    header, row = _DAYS.splitlines()
    _write(tmp_path, "\n".join([header, row.replace("01-02", "01-03"), row, ""]))

    (page,) = await _pages(provider)

    assert np.all(np.diff(page.frame.time_us) > 0)
    assert (page.frame.flags == BarFlag.FINAL).all()
    assert page.frame.feeds == {0: "files/archive"}


async def test_bars_given_an_exported_file_are_read_and_those_of_another_symbol_refused(
    provider: FilesProvider, tmp_path: Path
) -> None:
    """An export has columns of symbols, feeds and flags; the feed of an archive is its own."""
    frame = replace(walk(np.arange(_WEEK.start_us, _WEEK.end_us, 86_400_000_000)), feeds={0: "a/b"})
    (tmp_path / "1d").mkdir()
    path = tmp_path / "1d" / "AAPL.parquet"
    batch = to_record_batch(frame, Timeframe.DAY_1)
    pyarrow.parquet.write_table(pyarrow.Table.from_batches([batch]), path)

    (page,) = await _pages(provider)
    assert page.frame.close.tolist() == frame.close.tolist()
    assert page.frame.feeds == {0: "files/archive"}

    path.rename(tmp_path / "1d" / "MSFT.parquet")
    with pytest.raises(ProviderAnswerError, match="row 1: is of AAPL, and the file is MSFT's"):
        await _pages(provider, Symbol("MSFT"))


async def test_bars_given_rolled_up_ones_are_refused(provider: FilesProvider, tmp_path: Path) -> None:
    """A roll-up must not come back as a provider's bar."""
    rolled_up = _DAYS.replace("Volume", "Volume,flags").replace("82488700", "82488700,3")
    _write(tmp_path, rolled_up)

    with pytest.raises(ProviderAnswerError, match="line 2: is rolled up"):
        await _pages(provider)


async def test_bars_given_a_line_that_is_being_written_wait_for_its_end(tmp_path: Path) -> None:
    """A volume that is cut off is a number, too; a file that rests may end as it likes."""
    path = _write(tmp_path, _DAYS.rstrip("\n"))
    modified_us = path.stat().st_mtime_ns // 1_000
    provider = FilesProvider(tmp_path, ManualClock(modified_us + 1_000_000))
    with pytest.raises(ProviderUnavailableError, match="ends within a line") as refusal:
        await _pages(provider)
    assert refusal.value.retry_after_seconds

    os.utime(path, ns=(_LONG_AGO_NS, _LONG_AGO_NS))
    (page,) = await _pages(provider)
    assert page.frame.volume.tolist() == [82_488_700]
    await provider.aclose()


@pytest.mark.parametrize(
    ("timeframe", "last", "until", "missing"),
    [
        (Timeframe.DAY_1, "2024-03-01", "2024-03-08 10:00", None),
        (Timeframe.DAY_1, "2024-03-01", "2024-03-10 10:00", "2024-03-04"),
        # Good Friday, and a weekend.
        (Timeframe.MINUTE_1, "2024-03-28 15:40", "2024-04-01 23:00", None),
        (Timeframe.MINUTE_1, "2024-03-28 15:40", "2024-04-02 23:00", "2024-04-01"),
        (Timeframe.HOUR_1, "2024-03-28 09:30", "2024-04-01 10:00", None),
        (Timeframe.HOUR_1, "1985-03-28 09:30", "1990-01-02 10:00", None),
    ],
)
def test_first_missing_session_given_a_file_that_lags_names_it_where_runs_would_not_come_back(
    timeframe: Timeframe, last: str, until: str, missing: str | None
) -> None:
    """A session that is closed and not in the file; one that runs fetch again anyway is none."""
    is_daily = timeframe is Timeframe.DAY_1
    latest_us = local_us(f"{last} 00:00", "UTC") if is_daily else local_us(last)

    found = first_missing_session(get_calendar("XNYS"), timeframe, latest_us, local_us(until))

    assert (str(found) if found else None) == missing


async def test_bars_given_a_file_that_lags_come_up_to_its_end_and_then_the_rest_is_refused(
    provider: FilesProvider, tmp_path: Path
) -> None:
    """The page completes what is there and no more, so that what is added later is asked for."""
    _write(tmp_path, _DAYS)
    request = BarsRequest(_AAPL, Timeframe.DAY_1, dates_between("2024-01-01", "2024-03-01"))
    pages = provider.fetch_bars(request)

    page = await anext(pages)
    with pytest.raises(ProviderAnswerError, match="nothing from 2024-01-03 on"):
        await anext(pages)

    assert len(page.frame) == 1
    assert page.range.end_us == page.frame.time_us[0] + 86_400_000_000


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "..", ".hidden", "a/b", "a\0b", "a\\b"])
async def test_bars_given_a_name_that_leads_elsewhere_are_refused(
    provider: FilesProvider, tmp_path: Path, name: str
) -> None:
    """What somebody wrote into a symbol opens no file outside of the folder."""
    (tmp_path / "1d").mkdir()
    _write(tmp_path, _DAYS, "secret.csv")

    with pytest.raises(ProviderSymbolError, match="is no name of a file"):
        await _pages(provider, replace(_AAPL, provider_symbols={"files": name}))


async def test_bars_given_a_link_out_of_the_folder_are_refused_and_one_within_followed(
    tmp_path: Path,
) -> None:
    """Whoever may put files there must not read others by it."""
    folder = tmp_path / "archive"
    (folder / "1d").mkdir(parents=True)
    outside = _write(tmp_path, _DAYS, "outside.csv")
    (folder / "1d" / "AAPL.csv").symlink_to(outside)
    provider = FilesProvider(folder, ManualClock(_NOW_US))
    with pytest.raises(ProviderAnswerError, match=r"1d/AAPL\.csv is a link that leads out"):
        await _pages(provider)

    _write(folder, _DAYS, "all.csv")
    (folder / "1d" / "MSFT.csv").symlink_to(folder / "all.csv")
    (page,) = await _pages(provider, Symbol("MSFT"))
    assert page.frame.symbols == ("MSFT",)
    await provider.aclose()


async def test_bars_given_no_file_no_folder_or_two_files_say_which(tmp_path: Path) -> None:
    """A disk that is not mounted says nothing of symbols."""
    folder = tmp_path / "archive"
    provider = FilesProvider(folder, ManualClock(_NOW_US))
    with pytest.raises(ProviderUnavailableError, match="MARKETDATA_FILES_DIR"):
        await _pages(provider)
    folder.mkdir()
    with pytest.raises(ProviderSymbolError, match=r"no 1d/AAPL\.csv"):
        await _pages(provider)
    _write(folder, _DAYS)
    _write(folder, _DAYS, "1d/AAPL.csv.gz")
    with pytest.raises(ProviderAnswerError, match="keep one of them"):
        await _pages(provider)
    await provider.aclose()


async def test_actions_given_a_file_are_those_of_the_symbol_and_without_one_none(
    provider: FilesProvider, tmp_path: Path
) -> None:
    """Dates are half-open; a symbol that the folder does not have at all is not known."""
    _write(tmp_path, _DAYS)
    assert await provider.fetch_actions(_AAPL, date(2000, 1, 1), date(2030, 1, 1)) == []
    rows = [
        "AAPL,cash_dividend,2020-08-07,,0.82,USD",
        "AAPL,split,2020-08-31,4,,",
        "MSFT,split,2003-02-18,2,,",
    ]
    header = "symbol,kind,ex_date,split_ratio,cash_amount,currency"
    (tmp_path / "actions.csv").write_text("\n".join([header, *reversed(rows)]))

    actions = await provider.fetch_actions(_AAPL, date(2020, 8, 7), date(2020, 8, 31))

    assert [(action.cash_amount, action.currency) for action in actions] == [(0.82, "USD")]
    assert len(await provider.fetch_actions(Symbol("MSFT"), date(2003, 2, 18), date(2003, 2, 19))) == 1
    with pytest.raises(ProviderSymbolError):
        await provider.fetch_actions(Symbol("IBM"), date(2003, 2, 18), date(2003, 2, 19))


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["symbol,kind"], "no column ex_date, split_ratio, cash_amount"),
        (["symbol,kind,ex_date,split_ratio,cash_amount", "AAPL,merger,2020-01-01,,"], "line 2.*write"),
        (["symbol,kind,ex_date,split_ratio,cash_amount", "AAPL,split,2020-01-01,,3"], "line 2.*write"),
    ],
)
def test_actions_given_a_line_that_is_none_name_it(lines: list[str], why: str) -> None:
    """What is missing is said, and how a line looks."""
    with pytest.raises(ProviderAnswerError, match=why):
        parse_actions(lines, "actions.csv")
