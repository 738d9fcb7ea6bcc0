"""A running service, and what people run beside it: grpcurl, commands, a second copy."""

import json
from pathlib import Path
from typing import Any, Final

from tests.acceptance.processes import (
    Outcome,
    Service,
    grpcurl,
    marketdata,
    runs_postgres,
    serving,
    taken_port,
)

BARS: Final = "bifrost.marketdata.v1.BarsService"
SAMPLE_BARS: Final = {"AAPL": 3_270, "FB": 196, "GOOG": 2_148, "IBM": 3_270, "MSFT": 3_270}


def ask(service: Service, method: str, **request: Any) -> Outcome:
    """Ask with grpcurl, as an engineer does."""
    data = json.dumps(request)
    return grpcurl(service.folder, "-d", data, service.address, f"{BARS}/{method}")


def messages(text: str) -> list[dict[str, Any]]:
    """Read the JSON objects that grpcurl prints one after the other, named as in the protos."""
    decoder, found, position = json.JSONDecoder(), [], 0
    while position < len(text.rstrip()):
        message, position = decoder.raw_decode(text, position)
        found.append(message)
        position += len(text[position:]) - len(text[position:].lstrip())
    return found


def test_grpcurl_given_list_bars_shows_real_apple_bars(shared: Service) -> None:
    """The two sessions around Apple's split of 2005, as they were traded."""
    found = ask(
        shared,
        "ListBars",
        symbol="AAPL",
        timeframe="TIMEFRAME_1_DAY",
        start_time="2005-02-25T00:00:00Z",
        end_time="2005-03-01T00:00:00Z",
    )
    assert (found.code, found.err) == (0, "")
    (answer,) = messages(found.out)
    bars = answer["bars"]
    assert [bar["session_date"] for bar in bars] == ["2005-02-25", "2005-02-28"]
    assert [bar["close"] for bar in bars] == [88.99, 44.86]
    assert [bar["time"] for bar in bars] == ["2005-02-25T00:00:00Z", "2005-02-28T00:00:00Z"]
    assert {bar["symbol"] for bar in bars} == {"AAPL"}
    assert {bar["feed"] for bar in bars} == {"sample/eod"}
    assert {bar["currency"] for bar in bars} == {"USD"}
    assert all(bar["is_final"] for bar in bars)
    assert answer["adjustment"] == "ADJUSTMENT_RAW"


def test_grpcurl_given_stream_bars_shows_thirteen_years(shared: Service) -> None:
    """All sessions of Apple as columns: header, batches, trailer."""
    found = ask(shared, "StreamBars", symbols=["AAPL"], timeframe="TIMEFRAME_1_DAY")
    assert found.code == 0
    header, *batches, trailer = messages(found.out)
    times_us = [time for part in batches for time in part["batch"]["time_us"]]
    closes = [close for part in batches for close in part["batch"]["close"]]
    assert "header" in header
    assert len(times_us) == len(closes) == SAMPLE_BARS["AAPL"]
    assert times_us == sorted(times_us, key=int)
    assert 88.99 in closes
    assert trailer == {"trailer": {"rows": "3270", "complete": True}}


def test_grpcurl_given_reflection_lists_the_services(shared: Service) -> None:
    """An engineer finds out what there is to call, and with what."""
    found = grpcurl(shared.folder, shared.address, "list")
    assert {BARS, "bifrost.marketdata.v1.SymbolService", "grpc.health.v1.Health"} <= set(
        found.out.split()
    )
    described = grpcurl(shared.folder, shared.address, "describe", BARS)
    assert "rpc ListBars ( .bifrost.marketdata.v1.ListBarsRequest )" in described.out


def test_grpcurl_given_unknown_symbol_says_what_to_do(shared: Service) -> None:
    """A refusal is readable: the code, the symbol, the way out, the details."""
    found = ask(shared, "ListBars", symbol="NOPE", timeframe="TIMEFRAME_1_DAY")
    assert found.code != 0
    assert "NotFound" in found.err
    assert "symbol NOPE is not known; ListSymbols lists the known ones" in found.err
    assert "SYMBOL_NOT_FOUND" in found.err


def test_bars_given_service_prints_the_split(shared: Service) -> None:
    """The command asks the service that runs on the configured port."""
    arguments = ("bars", "AAPL", "--start", "2005-02-25", "--end", "2005-03-01")
    found = marketdata(shared.folder, *arguments, MARKETDATA_PORT=shared.port)
    assert (found.code, found.err) == (0, "")
    assert [(row[1], row[5]) for row in found.table()] == [
        ("2005-02-25", "88.99"),
        ("2005-02-28", "44.86"),
    ]


def test_symbols_given_service_prints_the_five(shared: Service) -> None:
    """Every stock of the sample, a line each."""
    found = marketdata(shared.folder, "symbols", "--address", shared.address)
    assert (found.code, found.err) == (0, "")
    assert [row[0] for row in found.table()] == [*SAMPLE_BARS, "5"]


def test_doctor_given_service_finds_all_well(shared: Service) -> None:
    """Settings, database and service are fine, and no password is shown."""
    found = marketdata(shared.folder, "doctor", MARKETDATA_PORT=shared.port)
    assert (found.code, found.err) == (0, "")
    assert [row[:2] for row in found.table()] == [
        ["settings", "ok"],
        ["database", "ok"],
        ["log", "ok"],
        ["service", "ok"],
    ]
    assert (shared.folder / "password").read_text().strip() not in found.out


def test_migrate_given_service_uses_its_database(shared: Service) -> None:
    """Beside a service nothing is started, and nothing of it is stopped."""
    pid = shared.postmaster_pid()
    found = marketdata(shared.folder, "migrate")
    assert (found.code, found.out) == (0, "The schema is up to date.\n")
    assert shared.postmaster_pid() == pid


def test_import_given_service_with_the_sample_changes_nothing(shared: Service) -> None:
    """A second import finds every bar as it is."""
    found = marketdata(shared.folder, "import", "sample")
    assert found.code == 0
    assert {row[0]: row[1:] for row in found.table()} == {
        symbol: ["0", str(count), "0", "0", "0"] for symbol, count in SAMPLE_BARS.items()
    }


def test_serve_given_folder_of_another_service_refuses_it(shared: Service) -> None:
    """A second service is told who has the folder and what it needs instead; the first serves on."""
    pid = shared.postmaster_pid()
    found = marketdata(shared.folder, "serve")
    assert found.code == 1
    assert f"in use by 'serve' (pid {shared.process.pid})" in found.err
    assert "MARKETDATA_DATA_DIR and MARKETDATA_PORT" in found.err
    assert "Traceback" not in found.err
    assert shared.postmaster_pid() == pid
    assert len(marketdata(shared.folder, "symbols", "--address", shared.address).table()) == 6


def test_serve_given_taken_port_refuses_it_before_a_database_is_made(empty_folder: Path) -> None:
    """Nothing is made or started for a service that cannot serve."""
    with taken_port() as port:
        found = marketdata(empty_folder, "serve", "--with-sample", MARKETDATA_PORT=port)
    assert found.code == 1
    assert f"127.0.0.1:{port} cannot be bound" in found.err
    assert "MARKETDATA_PORT" in found.err
    assert "Traceback" not in found.err
    assert not empty_folder.exists()


def test_serve_given_wrong_settings_lists_all_without_values(empty_folder: Path) -> None:
    """Every problem in one go, before anything is started; values can be secrets."""
    found = marketdata(
        empty_folder,
        "serve",
        DB_POOL_SIZE="canary1",
        DB_PASSWORD="canary2",  # noqa: S106 -- a canary
        MARKETDATA_PORT="canary3",
        MARKETDATA_LOG_LEVEL="canary4",
    )
    assert found.code == 1
    for name in ("DB_POOL_SIZE", "MARKETDATA_PORT", "MARKETDATA_LOG_LEVEL"):
        assert name in found.err
    assert "canary" not in found.out + found.err
    assert "Traceback" not in found.err
    assert not empty_folder.exists()


def test_serve_given_empty_folder_is_ready_with_the_sample(empty_folder: Path) -> None:
    """From nothing to real bars in one command, which says what to try next; a second copy beside."""
    with serving(empty_folder, "--with-sample") as service:
        said = service.out.read_text()
        assert {line.split()[1]: int(line.split()[2]) for line in said.splitlines()[:5]} == SAMPLE_BARS
        assert "Try, in another terminal:" in said
        assert f"--address {service.address}" in said
        found = marketdata(empty_folder, "bars", "FB", "-n", "1", "--address", service.address)
        assert found.table()[0][1] == "2013-03-01"
        assert (empty_folder / "password").read_text().strip() not in said + service.log()
    assert not runs_postgres(empty_folder)


def test_serve_given_json_logs_one_object_a_call(sample_folder: Path) -> None:
    """One line a call for machines: its method, code and duration."""
    with serving(sample_folder, MARKETDATA_LOG_FORMAT="json") as service:
        ask(service, "GetLatestBar", symbol="NOPE")
        lines = [line for line in service.log().splitlines() if f"{BARS}/GetLatestBar" in line]
    (record,) = map(json.loads, lines)
    assert (record["code"], record["level"]) == ("NOT_FOUND", "INFO")
    assert record["duration_ms"] > 0
