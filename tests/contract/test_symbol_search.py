"""SearchSymbols: what a person who types, and mistypes, finds first."""

from collections.abc import AsyncIterator
from typing import Final

import pytest
from bifrost.marketdata.v1 import symbol_service_pb2 as messages
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contract.companies import COMPANIES
from tests.contract.service import Service, serving
from tests.contract.symbol_calls import RENAMED, REUSED, create, rename, search
from tests.support.databases import Databases

EXACT, PREFIX, FUZZY = (
    messages.MATCH_KIND_EXACT,
    messages.MATCH_KIND_PREFIX,
    messages.MATCH_KIND_FUZZY,
)

TICKERS: Final = [
    ("AAPL", "AAPL", EXACT),
    ("aapl", "AAPL", EXACT),
    ("  aapl ", "AAPL", EXACT),
    ("\uff21\uff21\uff30\uff2c", "AAPL", EXACT),  # full-width letters
    ("A", "A", EXACT),
    ("brk.b", "BRK.B", EXACT),
    ("^gspc", "^GSPC", EXACT),
    ("goog", "GOOG", EXACT),
    ("nvd", "NVDA", PREFIX),
    ("googl", "GOOGL", EXACT),
    ("BTC", "BTC-USD", PREFIX),
    ("b", "BA", PREFIX),
]
# One slip in a ticker: two letters exchanged, another letter, one too many, one too few.
TICKER_SLIPS: Final = [
    ("AALP", "AAPL"),
    ("APAL", "AAPL"),
    ("APPL", "AAPL"),
    ("AAPPL", "AAPL"),
    ("AAPLL", "AAPL"),
    ("AAPK", "AAPL"),
    ("SAPL", "AAPL"),
    ("MSTF", "MSFT"),
    ("MSFR", "MSFT"),
    ("MSF T", "MSFT"),
    ("NLFX", "NFLX"),
    ("NVDIA", "NVDA"),
    ("TLSA", "TSLA"),
    ("WTM", "WMT"),
    ("MZN", "AMZN"),
    ("BRKB", "BRK.B"),
    ("BRK-A", "BRK.A"),
    ("BRK A", "BRK.A"),
    ("GSPC", "^GSPC"),
    ("BTCUSD", "BTC-USD"),
]
NAMES: Final = [
    ("apple", "AAPL"),
    ("Apple Inc", "AAPL"),
    ("apple hosp", "APLE"),
    ("microsoft", "MSFT"),
    ("Microsoft Corporation", "MSFT"),
    ("micro", "MSFT"),
    ("advanced micro", "AMD"),
    ("bank of america", "BAC"),
    ("america", "BAC"),
    ("american express", "AXP"),
    ("berkshire b", "BRK.B"),
    ("hathaway", "BRK.B"),
    ("coca cola", "KO"),
    ("coca-cola", "KO"),
    ("cocacola", "KO"),
    ("at&t", "T"),
    ("j&j johnson", "JNJ"),
    ("Johnson & Johnson", "JNJ"),
    ("mcdonalds", "MCD"),
    ("McDonald's", "MCD"),
    ("ford", "F"),
    ("general motors", "GM"),
    ("general elec", "GE"),
    ("home depot", "HD"),
    ("taiwan semi", "TSM"),
    ("nestle", "NESN"),
    ("NESTLÉ", "NESN"),
    ("societe generale", "GLE"),
    ("société", "GLE"),
    ("walt", "DIS"),
    ("disney", "DIS"),
    ("s&p 500", "^GSPC"),
    ("the boeing company", "BA"),
    ("3m", "MMM"),
]
NAME_SLIPS: Final = [
    ("microsft", "MSFT"),
    ("micorsoft", "MSFT"),
    ("mircosoft corp", "MSFT"),
    ("amazom", "AMZN"),
    ("appe", "AAPL"),
    ("appel", "AAPL"),
    ("google", "GOOGL"),
    ("alphabte", "GOOGL"),
    ("frod", "F"),
    ("nkie", "NKE"),
    ("vsia", "V"),
    ("itnel", "INTC"),
    ("boenig", "BA"),
    ("jhonson", "JNJ"),
    ("mcdonlads", "MCD"),
    ("netfilx", "NFLX"),
    ("citgroup", "C"),
    ("berkshre hathaway", "BRK.B"),
    ("berkshire hataway", "BRK.B"),
    ("wels fargo", "WFC"),
    ("pfzier", "PFE"),
    ("oracel", "ORCL"),
    ("caterpiller", "CAT"),
    ("general motros", "GM"),
    ("jp morgan", "JPM"),
    ("lulelemon", "LULU"),
    ("microsoft coropration", "MSFT"),
    ("exon mobil", "XOM"),
]


@pytest.fixture(scope="module")
async def market(databases: Databases) -> AsyncIterator[Service]:
    """Give a service that knows the companies; the tests of this module share it."""
    database = await databases.migrated()
    async with serving(lambda: database) as running:
        for symbol, name in COMPANIES.items():
            await create(running, symbol, name=name)
        yield running
    databases.drop(database)


@pytest.mark.parametrize(("query", "symbol", "kind"), TICKERS)
async def test_search_given_ticker_or_its_beginning_finds_it_first(
    market: Service, query: str, symbol: str, kind: messages.MatchKind.ValueType
) -> None:
    """Case, width and blanks around it do not matter."""
    first = (await search(market, query))[0]
    assert (first.symbol.symbol, first.kind) == (symbol, kind)
    assert (first.score == 1) == (kind == EXACT)


@pytest.mark.parametrize(("query", "symbol"), TICKER_SLIPS + NAMES + NAME_SLIPS)
async def test_search_given_name_or_one_slip_finds_it_first(
    market: Service, query: str, symbol: str
) -> None:
    """Neither accents nor legal forms nor one mistyped letter keep a company from being found."""
    first = (await search(market, query))[0]
    assert (first.symbol.symbol, first.kind) == (symbol, FUZZY)
    assert 0 < first.score <= 1


@pytest.mark.parametrize(
    "query", ["xqzwv", "ZZZZ", "%", "_", "%%%", "____", "\\", "A%", "A_PL", "M.*", "?"]
)
async def test_search_given_nothing_alike_finds_nothing_by_wildcards(
    market: Service, query: str
) -> None:
    """No character stands for others: what is found is what would be without it."""
    plain = "".join(character for character in query if character.isalnum())
    found = {match.symbol.symbol for match in await search(market, query, 100)}
    alike = {match.symbol.symbol for match in await search(market, plain, 100)} if plain else set()
    assert found <= alike
    assert len(found) < len(COMPANIES) / 4


async def test_search_given_matches_of_every_kind_orders_them(market: Service) -> None:
    """Exact, then prefix, then fuzzy; by score within a kind; each symbol once."""
    matches = await search(market, "app", 100)
    kinds = [match.kind for match in matches]
    assert kinds == sorted(kinds)
    assert set(kinds) == {EXACT, FUZZY}
    assert [match.symbol.symbol for match in matches[:2]] == ["APP", "AAPL"]
    for kind in set(kinds):
        scores = [match.score for match in matches if match.kind == kind]
        assert scores == sorted(scores, reverse=True)
    symbols = [match.symbol.symbol for match in matches]
    assert len(set(symbols)) == len(symbols)


async def test_search_given_the_same_text_answers_the_same(market: Service) -> None:
    """The order is the same each time, and a limit cuts it."""
    whole = await search(market, "an", 100)
    assert await search(market, "an", 100) == whole
    for limit in (1, 3, len(whole)):
        assert await search(market, "an", limit) == whole[:limit]


async def test_search_given_short_prefix_puts_shorter_tickers_first(market: Service) -> None:
    """The score of a prefix is how much of the ticker it is."""
    matches = [match for match in await search(market, "g", 100) if match.kind == PREFIX]
    assert [match.symbol.symbol for match in matches] == ["GE", "GM", "GLE", "GOOG", "GOOGL"]
    assert [match.score for match in matches] == [1 / 2, 1 / 2, 1 / 3, 1 / 4, 1 / 5]


@pytest.mark.parametrize(("limit", "count"), [(0, 10), (5, 5), (1_000, 100), (2**31 - 1, 100)])
async def test_search_given_limit_returns_at_most_so_many(
    service: Service, limit: int, count: int
) -> None:
    """Ten by default, and a hundred at the most."""
    for number in range(101):
        await create(service, f"AB{number}")
    assert len(await search(service, "ab", limit)) == count


async def test_search_given_former_ticker_finds_what_it_named(service: Service) -> None:
    """Below the ticker's present holder, where there is one."""
    await create(service, "FB", name="Facebook")
    await rename(service, "FB", "META", RENAMED)
    (match,) = await search(service, "fb")
    assert (match.symbol.symbol, match.kind) == ("META", EXACT)
    assert match.score < 1
    await create(service, "FB", name="ProShares", valid_from=REUSED)
    assert [m.symbol.symbol for m in await search(service, "fb")] == ["FB", "META"]


@settings(max_examples=300)
@given(query=st.text(min_size=1, max_size=50).filter(lambda text: text.replace("\0", " ").strip()))
async def test_search_given_any_text_answers(market: Service, query: str) -> None:
    """Whatever is typed, pasted or made up is answered, and every score lies between 0 and 1."""
    for match in await search(market, query):
        assert 0 < match.score <= 1
        assert match.symbol.symbol in COMPANIES


@settings(max_examples=100)
@given(data=st.data())
async def test_search_given_any_slip_in_a_ticker_finds_it(market: Service, data: st.DataObject) -> None:
    """Any one letter exchanged, changed, added or left out of a ticker of three or more."""
    ticker = data.draw(st.sampled_from([symbol for symbol in COMPANIES if len(symbol) > 2]))
    place = data.draw(st.integers(0, len(ticker) - 2))
    letter = data.draw(st.sampled_from("ABCXYZ"))
    head, one, two, tail = ticker[:place], ticker[place], ticker[place + 1], ticker[place + 2 :]
    slips = [
        head + two + one + tail,
        head + letter + two + tail,
        head + letter + one + two + tail,
        head + two + tail,
    ]
    query = data.draw(st.sampled_from(slips))
    assert ticker in {match.symbol.symbol for match in await search(market, query, 100)}
