"""The gRPC server assembled: interceptors, services, health, reflection, limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
from bifrost.marketdata.v1 import bars_service_pb2, ingestion_service_pb2, symbol_service_pb2
from bifrost.marketdata.v1.bars_service_pb2_grpc import (
    BarsServiceServicer,
    add_BarsServiceServicer_to_server,
)
from bifrost.marketdata.v1.ingestion_service_pb2_grpc import (
    IngestionServiceServicer,
    add_IngestionServiceServicer_to_server,
)
from bifrost.marketdata.v1.symbol_service_pb2_grpc import (
    SymbolServiceServicer,
    add_SymbolServiceServicer_to_server,
)
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from marketdata.errors import AddressInUseError
from marketdata.rpc.access_log import AccessLogInterceptor
from marketdata.rpc.admission import AdmissionInterceptor
from marketdata.rpc.behaviour import InterceptorChain
from marketdata.rpc.decoding import MOST_RECEIVED_BYTES, decode_in_call
from marketdata.rpc.error_mapping import ErrorInterceptor

SERVICE_NAMES: Final = (
    symbol_service_pb2.DESCRIPTOR.services_by_name["SymbolService"].full_name,
    bars_service_pb2.DESCRIPTOR.services_by_name["BarsService"].full_name,
    ingestion_service_pb2.DESCRIPTOR.services_by_name["IngestionService"].full_name,
)

_OPTIONS: Final[Sequence[tuple[str, Any]]] = (
    # Two servers would otherwise share the port, each with half of the calls, and say nothing.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MOST_RECEIVED_BYTES),
    ("grpc.max_send_message_length", -1),
    # Clients ping every 30 s at the most often; a dead peer is noticed after 40 s.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
)


@dataclass(frozen=True, slots=True)
class Services:
    """What the server serves."""

    symbols: SymbolServiceServicer
    bars: BarsServiceServicer
    ingestion: IngestionServiceServicer
    health: Any


def build_server(
    services: Services, admission: AdmissionInterceptor, *, with_reflection: bool
) -> grpc.aio.Server:
    """Assemble a server that is not bound to a port yet.

    The interceptors' order, from the outside: the access log sees every call and its final code;
    errors become statuses; calls beyond the limits are refused; requests are decoded. Authentication
    and metrics join between errors and admission.

    Parameters
    ----------
    services : Services
        The servicers.
    admission : AdmissionInterceptor
        Limits the calls, and drains them.
    with_reflection : bool
        Whether grpcurl may ask what there is to call.
    """
    around_calls = [AccessLogInterceptor(), ErrorInterceptor(), admission]
    server = grpc.aio.server(
        interceptors=[InterceptorChain(around_calls, decode_in_call)], options=_OPTIONS
    )
    add_SymbolServiceServicer_to_server(services.symbols, server)
    add_BarsServiceServicer_to_server(services.bars, server)
    add_IngestionServiceServicer_to_server(services.ingestion, server)
    health_pb2_grpc.add_HealthServicer_to_server(services.health, server)
    if with_reflection:
        health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        names = (*SERVICE_NAMES, health_name, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
    return server


def build_health_server(health: Any) -> grpc.aio.Server:
    """Assemble a server that tells its health and nothing else, for a process without other calls.

    Parameters
    ----------
    health : HealthServicer
        The servicer.
    """
    server = grpc.aio.server(options=_OPTIONS)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    return server


def bind(server: grpc.aio.Server, host: str, port: int) -> int:
    """Bind the server; return its port, which the kernel chose where `port` is 0.

    Raises
    ------
    AddressInUseError
        Another process has the port.
    """
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError:
        bound = 0
    if bound == 0:
        raise AddressInUseError(
            f"{host}:{port} cannot be bound: another program serves there, or the address is not "
            "this machine's; choose another with MARKETDATA_PORT or MARKETDATA_HOST"
        )
    return bound
