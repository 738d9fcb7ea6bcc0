"""The provider `files`: a folder of files of bars, kept current like any provider."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Final, TypeVar

from marketdata.clock import Clock
from marketdata.domain.company import CompanyFacts
from marketdata.domain.corporate_action import CorporateAction
from marketdata.domain.symbol import Symbol
from marketdata.errors import ProviderKeyError, ProviderSymbolError, ProviderUnavailableError
from marketdata.providers.calendars import calendar_of
from marketdata.providers.files.archive import PROVIDER, TIMEFRAMES, Archive, file_name
from marketdata.providers.files.archive_actions import read_actions
from marketdata.providers.frames import check_timeframe
from marketdata.providers.protocol import BarsPage, BarsRequest, Capabilities, Limits

T = TypeVar("T")

FOLDER_SETTING: Final = "MARKETDATA_FILES_DIR"
# A disk and pyarrow; more at once would only take memory, some 30 MB each.
LIMITS: Final = Limits(calls_at_once=2)
CAPABILITIES: Final = Capabilities(
    name=PROVIDER,
    title="A folder of CSV and Parquet files",
    feeds=dict.fromkeys(TIMEFRAMES, "files/archive"),
    history=dict.fromkeys(TIMEFRAMES),
    has_actions=True,
    has_company=False,
    settings=(FOLDER_SETTING,),
    terms="Those of whoever the files are from.",
)


class FilesProvider:
    """Reads a folder; see `Provider` for the methods and their errors.

    Parameters
    ----------
    folder : Path
        Laid out as `archive` says.
    clock : Clock
        Tells which bars have ended.
    most_bars : int
        Most bars of a page.
    """

    def __init__(self, folder: Path, clock: Clock, *, most_bars: int = 50_000) -> None:
        self._archive = Archive(folder)
        self._clock = clock
        self._most_bars = most_bars
        self._threads = ThreadPoolExecutor(LIMITS.calls_at_once, "files")

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return CAPABILITIES

    @property
    def limits(self) -> Limits:
        """What it allows."""
        return LIMITS

    async def fetch_bars(self, request: BarsRequest) -> AsyncGenerator[BarsPage]:
        """Fetch bars, page by page; the file is read while pages are asked for."""
        check_timeframe(self.capabilities, request.timeframe)
        calendar = await calendar_of(request.symbol)
        asked_us = self._clock.now_us()

        def opened() -> Generator[BarsPage]:
            file = self._archive.find(request.symbol, request.timeframe)
            with _pyarrow_explained():
                # Imported in the thread: it takes a while, and is an extra.
                from marketdata.providers.files import archive_pages  # noqa: PLC0415

            reading = archive_pages.Reading(request, calendar, asked_us, self._most_bars)
            return archive_pages.read_pages(file, reading)

        pages = await self._in_thread(opened)
        reading: Future[BarsPage | None] | None = None
        try:
            while True:
                reading = self._threads.submit(next, pages, None)
                page = await asyncio.wrap_future(reading)
                if page is None:
                    return
                yield page
        finally:
            # Where this was cancelled, a thread is still in it, for as long as a block takes: the file
            # is closed behind it, and nobody waits.
            if reading is not None:
                reading.add_done_callback(lambda _: pages.close())

    async def fetch_actions(self, symbol: Symbol, start: date, end: date) -> Sequence[CorporateAction]:
        """Fetch the corporate actions with ex-dates in `[start, end)`, ascending."""
        actions = await self._in_thread(lambda: self._actions_of(symbol))
        return sorted(
            (action for action in actions if start <= action.ex_date < end),
            key=lambda action: action.ex_date,
        )

    async def fetch_company(self, symbol: Symbol) -> CompanyFacts:
        """Refuse: files of bars tell nothing of companies."""
        raise ProviderKeyError(
            f"files tell nothing of companies, nor of {symbol.symbol}'s; ask another provider"
        )

    async def aclose(self) -> None:
        """Wait for the threads."""
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)

    def _actions_of(self, symbol: Symbol) -> list[CorporateAction]:
        file = self._archive.find_actions()
        names = {symbol.symbol, file_name(symbol)}
        listed = read_actions(file) if file is not None else []
        actions = [action for name, action in listed if name in names]
        if not actions and not self._archive.knows(symbol):
            raise ProviderSymbolError(
                f"there is nothing of {symbol.symbol} in the folder of files; put a file of its bars"
                " there"
            )
        return actions

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


@contextmanager
def _pyarrow_explained() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        raise ProviderUnavailableError(
            "files are read with pyarrow, which is not installed; the extra brings it:"
            " pip install 'bifrost-marketdata[files]'"
        ) from None
