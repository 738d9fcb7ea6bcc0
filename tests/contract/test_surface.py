"""What the service shows to its clients: pinned here, so that nothing appears or goes by accident."""

from typing import Any, Final

import pytest
from bifrost.marketdata.v1.bars_service_pb2_grpc import BarsServiceServicer
from bifrost.marketdata.v1.ingestion_service_pb2_grpc import IngestionServiceServicer
from bifrost.marketdata.v1.symbol_service_pb2_grpc import SymbolServiceServicer
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from marketdata.rpc.server import SERVICE_NAMES
from marketdata.servicers.bars import BarsServicer
from marketdata.servicers.ingestion import IngestionServicer
from marketdata.servicers.symbols import SymbolServicer
from marketdata.storage.embedded import ServerAddress
from tests.contract.known import Known
from tests.contract.refusals import refusal_of
from tests.contract.service import CALL_SECONDS, Service, serving

BARS: Final = "bifrost.marketdata.v1.BarsService"
SYMBOLS: Final = "bifrost.marketdata.v1.SymbolService"
INGESTION: Final = "bifrost.marketdata.v1.IngestionService"
HEALTH: Final = "grpc.health.v1.Health"
REFLECTION: Final = "grpc.reflection.v1alpha.ServerReflection"

# Per service its RPCs, each with what streams: requests, responses.
UNARY: Final = (False, False)
RPCS: Final = {
    SYMBOLS: {
        "GetSymbol": UNARY,
        "ListSymbols": UNARY,
        "CreateSymbol": UNARY,
        "UpdateSymbol": UNARY,
        "DeleteSymbol": UNARY,
        "SearchSymbols": UNARY,
        "ValidateSymbols": UNARY,
        "ListCorporateActions": UNARY,
        "CreateCorporateActions": UNARY,
        "GetCompany": UNARY,
        "UpdateCompany": UNARY,
    },
    BARS: {
        "GetLatestBar": UNARY,
        "BatchGetLatestBars": UNARY,
        "ListBars": UNARY,
        "StreamBars": (False, True),
        "SubscribeBars": (False, True),
        "CreateBars": UNARY,
        "UploadBars": (True, True),
        "DeleteBars": UNARY,
        "GetBarCoverage": UNARY,
        "ListBarRevisions": UNARY,
        "GetBarStatistics": UNARY,
    },
    INGESTION: {
        "ListProviders": UNARY,
        "ListLiveFeeds": UNARY,
        "StartIngestion": UNARY,
        "GetIngestionRun": UNARY,
        "ListIngestionRuns": UNARY,
        "WatchIngestionRun": (False, True),
        "CancelIngestionRun": UNARY,
        "ListQuarantinedBars": UNARY,
        "ReleaseQuarantinedBars": UNARY,
        "DropQuarantinedBars": UNARY,
        "ListIngestionTargets": UNARY,
        "CreateIngestionTarget": UNARY,
        "UpdateIngestionTarget": UNARY,
        "DeleteIngestionTarget": UNARY,
    },
}


async def reflect(service: Service, **request: str) -> Any:
    """Ask one question of server reflection."""
    stub = reflection_pb2_grpc.ServerReflectionStub(service.channel)
    question = reflection_pb2.ServerReflectionRequest(**request)
    call = stub.ServerReflectionInfo(iter([question]), timeout=CALL_SECONDS)
    return await call.read()


async def rpcs_of(service: Service, name: str) -> dict[str, tuple[bool, bool]]:
    """Ask reflection what a service has."""
    answer = await reflect(service, file_containing_symbol=name)
    for packed in answer.file_descriptor_response.file_descriptor_proto:
        file = FileDescriptorProto.FromString(packed)
        for found in file.service:
            if f"{file.package}.{found.name}" == name:
                return {m.name: (m.client_streaming, m.server_streaming) for m in found.method}
    raise AssertionError(f"reflection does not describe {name}")


async def test_reflection_given_server_lists_its_services(known: Known) -> None:
    """Whoever asks finds our three services, health, and reflection itself; nothing else."""
    answer = await reflect(known.service, list_services="")
    names = {service.name for service in answer.list_services_response.service}
    assert names == {SYMBOLS, BARS, INGESTION, HEALTH, REFLECTION}
    assert set(SERVICE_NAMES) == {SYMBOLS, BARS, INGESTION}


@pytest.mark.parametrize("name", RPCS)
async def test_reflection_given_service_lists_the_rpcs_of_the_contract(known: Known, name: str) -> None:
    """The RPCs of this release, each of its kind."""
    assert await rpcs_of(known.service, name) == RPCS[name]


@pytest.mark.parametrize(
    ("base", "servicer"),
    [
        (BarsServiceServicer, BarsServicer),
        (SymbolServiceServicer, SymbolServicer),
        (IngestionServiceServicer, IngestionServicer),
    ],
)
def test_servicer_given_rpc_of_the_contract_serves_it(base: type[Any], servicer: type[Any]) -> None:
    """An RPC is in the contract once it works, and not before."""
    declared = {name for name in vars(base) if not name.startswith("_")}
    assert {name for name in declared if getattr(servicer, name) is getattr(base, name)} == set()


async def test_reflection_given_it_is_off_is_not_there(database: ServerAddress) -> None:
    """In production nobody asks what there is; the calls work all the same."""
    async with serving(lambda: database, MARKETDATA_REFLECTION=False) as service:
        stub = reflection_pb2_grpc.ServerReflectionStub(service.channel)
        call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest()]))
        refusal = await refusal_of(call.read())
        assert refusal.code.name == "UNIMPLEMENTED"
        assert await service.status() == "SERVING"


@pytest.mark.parametrize("name", ["", "db", SYMBOLS, BARS, INGESTION])
async def test_health_given_service_that_serves_says_so(known: Known, name: str) -> None:
    """The whole, the database and each service have a health of their own."""
    assert await known.service.status(name) == "SERVING"


async def test_health_given_unknown_name_is_not_found(known: Known) -> None:
    """A name that is no service of ours has no health."""
    call = known.service.health.Check(health_pb2.HealthCheckRequest(service="nothing"))
    assert (await refusal_of(call)).code.name == "NOT_FOUND"
