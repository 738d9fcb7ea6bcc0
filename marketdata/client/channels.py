"""How channels to the service are made: limits, keepalive, and what gRPC itself retries."""

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from marketdata.client.methods import METHODS

DEFAULT_ADDRESS: Final = "127.0.0.1:8001"

# A batch of a stream has some 16,000 bars, 1.5 MB with all columns; this leaves room for larger ones.
_MOST_RECEIVED_BYTES: Final = 16 * 1024 * 1024
# The service takes 8 MiB a batch of an upload; beyond that the client itself refuses.
_MOST_SENT_BYTES: Final = 8 * 1024 * 1024
# A service that restarts is back within a second or two; gRPC's own first pause of 1 s, doubled up to
# two minutes, would let every retry within it fail without having asked.
_FIRST_RECONNECT_MS: Final = 100
_LONGEST_RECONNECT_MS: Final = 5_000

_RETRY_POLICY: Final = {
    # 0.1, 0.2, 0.4 s: a blink of the network, not an outage, which the caller should hear of.
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
# Every failed attempt costs a token, every answer gives back a tenth, and below half of them nothing is
# retried: a service that is down is not hit with four times the load.
_RETRY_THROTTLING: Final = {"maxTokens": 20, "tokenRatio": 0.1}


def service_config() -> str:
    """Make the service config (JSON): which methods gRPC retries by itself.

    Only repeatable ones, and only on UNAVAILABLE. Attempts that provably never reached the service are
    retried by gRPC for every method, whatever stands here.
    """
    names = []
    for method in METHODS:
        if method.is_repeatable:
            _, service, name = method.path.split("/")
            names.append({"service": service, "method": name})
    return json.dumps(
        {
            "methodConfig": [{"name": names, "retryPolicy": _RETRY_POLICY}],
            "retryThrottling": _RETRY_THROTTLING,
        }
    )


def channel_options() -> tuple[tuple[str, Any], ...]:
    """List the options of every channel to the service."""
    return (
        ("grpc.service_config", service_config()),
        ("grpc.enable_retries", 1),
        ("grpc.max_receive_message_length", _MOST_RECEIVED_BYTES),
        ("grpc.max_send_message_length", _MOST_SENT_BYTES),
        # A dead peer is noticed after 40 s of a call; the service allows pings from 20 s on.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # Otherwise pings stop after two that no data followed, just where nothing else would notice.
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", _FIRST_RECONNECT_MS),
        ("grpc.max_reconnect_backoff_ms", _LONGEST_RECONNECT_MS),
        ("grpc.primary_user_agent", f"bifrost-marketdata/{_own_version()}"),
    )


def _own_version() -> str:
    try:
        return version("bifrost-marketdata")
    except PackageNotFoundError:  # run from a folder that was never installed
        return "unknown"
