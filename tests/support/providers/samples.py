"""Samples of providers' answers, from their documentation: tests/data/providers."""

import json
from pathlib import Path
from typing import Any, Final

from marketdata.providers.http.answer import HttpAnswer
from tests.support.providers.truth import NOW_US

_FOLDER: Final = Path(__file__).parents[2] / "data" / "providers"


def sample(name: str) -> bytes:
    """Read a sample: ``alpaca/bars_1day.json``."""
    return (_FOLDER / name).read_bytes()


def sample_message(name: str, message: str) -> Any:
    """Read one of a provider's messages."""
    return json.loads(sample(f"{name}/messages.json"))[message]


def answer(body: Any, status: int = 200, asked_us: int = NOW_US, **headers: str) -> HttpAnswer:
    """Make an answer of a body: bytes, text, or what JSON can hold."""
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpAnswer(status, named, body, asked_us)
