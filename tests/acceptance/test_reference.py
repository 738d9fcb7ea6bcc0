"""Corporate actions as an operator keeps them current: a service, files, the command, a kill."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from marketdata.client import NewSymbol, SyncMarketDataClient
from tests.acceptance.processes import Service, marketdata

Start = Callable[..., Service]

HEADER: Final = "symbol,kind,ex_date,split_ratio,cash_amount,currency\n"
SPLIT: Final = "AAPL,split,2014-06-09,7,,\n"
DIVIDEND: Final = "AAPL,cash_dividend,2012-08-09,,2.65,USD\n"


def test_actions_given_a_service_that_is_killed_are_there_once(
    empty_folder: Path, tmp_path: Path, start: Start
) -> None:
    """The command stores what the folder tells, corrects it, and finds it again after a kill."""
    (tmp_path / "1d").mkdir()
    told = tmp_path / "actions.csv"
    told.write_text(HEADER + SPLIT + DIVIDEND)
    settings = {"MARKETDATA_FILES_DIR": str(tmp_path)}
    service = start(empty_folder, **settings)
    with SyncMarketDataClient(service.address) as client:
        client.create_symbol(NewSymbol("AAPL"))
        first = marketdata(
            empty_folder, "ingest", "actions", "AAPL", "-p", "files", "--address", service.address
        )
        assert first.code == 0, first.err
        assert "1 of 1 tasks done" in first.out
        service.kill()
    told.write_text(HEADER + SPLIT.replace("7", "8") + DIVIDEND)
    service = start(empty_folder, **settings)
    again = ("ingest", "actions", "--all", "-p", "files", "--address", service.address)
    corrected = marketdata(empty_folder, *again, "--refetch")
    assert "split of 2014-06-09 was 7 and is 8 now" in corrected.out
    unchanged = marketdata(empty_folder, *again, "--refetch")
    assert unchanged.code == 0, unchanged.err
    with SyncMarketDataClient(service.address) as client:
        stored = list(client.list_corporate_actions("AAPL"))
    assert [(action.split_ratio, action.cash_amount) for action in stored] == [
        (None, 2.65),
        (8.0, None),
    ]
    listed = marketdata(empty_folder, "ingest", "runs", "--json", "--address", service.address)
    runs = [json.loads(line) for line in listed.out.splitlines()]
    assert [(run["mode"], run["accepted"], run["revised"], run["unchanged"]) for run in runs] == [
        ("actions", 0, 0, 2),
        ("actions", 0, 1, 1),
        ("actions", 2, 0, 0),
    ]
