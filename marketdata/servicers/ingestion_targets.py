"""The calls of IngestionService about targets."""

from dataclasses import replace
from typing import Any

import grpc
from bifrost.marketdata.v1 import ingestion_target_pb2 as messages

from marketdata.ingestion.target_checker import TargetChecker
from marketdata.storage.ingestion.targets import TargetStore
from marketdata.wire.ingestion_targets import (
    parse_create_target,
    parse_list_targets,
    parse_target_name,
    parse_update_target,
    to_list_targets_response,
    to_proto_target,
)
from marketdata.wire.violations import Violations, under

Context = grpc.aio.ServicerContext[Any, Any]


class IngestionTargetCalls:
    """Lists, creates, changes and deletes targets.

    Parameters
    ----------
    targets : TargetStore
        Where they are kept.
    checker : TargetChecker
        Knows what there is of what they name.
    """

    def __init__(self, targets: TargetStore, checker: TargetChecker) -> None:
        self._targets = targets
        self._checker = checker

    async def ListIngestionTargets(  # noqa: N802
        self,
        request: messages.ListIngestionTargetsRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.ListIngestionTargetsResponse:
        """Return a page of targets; see the contract."""
        asked = parse_list_targets(request)
        page = await self._targets.list_page(asked.after, asked.page_size)
        return to_list_targets_response(request, page.targets, has_more=page.has_more)

    async def CreateIngestionTarget(  # noqa: N802
        self,
        request: messages.CreateIngestionTargetRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.CreateIngestionTargetResponse:
        """Store a target; see the contract."""
        violations = Violations()
        target = parse_create_target(request, violations)
        violations.extend(await self._checker.find_violations(target))
        violations.raise_any()
        stored = await self._targets.create(target)
        return messages.CreateIngestionTargetResponse(target=to_proto_target(stored))

    async def UpdateIngestionTarget(  # noqa: N802
        self,
        request: messages.UpdateIngestionTargetRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.UpdateIngestionTargetResponse:
        """Change a target; see the contract."""
        asked = parse_update_target(request)
        seen = await self._targets.get(asked.name)
        target = replace(seen, **asked.values)
        # Symbols that were deleted since stay in their targets: only new ones are looked up.
        unknown = await self._checker.of_symbols(asked.values.get("symbols", ()))
        violations = Violations()
        violations.extend(under("target", [*self._checker.of_providers(target), *unknown]))
        violations.raise_any()
        stored = await self._targets.update(seen, target)
        return messages.UpdateIngestionTargetResponse(target=to_proto_target(stored))

    async def DeleteIngestionTarget(  # noqa: N802
        self,
        request: messages.DeleteIngestionTargetRequest,
        context: Context,  # noqa: ARG002
    ) -> messages.DeleteIngestionTargetResponse:
        """Delete a target; see the contract."""
        await self._targets.delete(parse_target_name(request))
        return messages.DeleteIngestionTargetResponse()
