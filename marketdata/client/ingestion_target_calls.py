"""The calls of IngestionService about targets."""

from collections.abc import AsyncIterator, Iterable
from typing import Final, Literal

from bifrost.marketdata.v1 import ingestion_target_pb2 as messages
from google.protobuf.field_mask_pb2 import FieldMask

from marketdata.client import methods
from marketdata.client.caller import Caller
from marketdata.client.enums import known
from marketdata.domain.ingestion_target import IngestionTarget, NewIngestionTarget
from marketdata.wire.enums import TIMEFRAME_FROM_PROTO, TIMEFRAME_TO_PROTO
from marketdata.wire.session_dates import date_from_text, date_to_text

TargetField = Literal["symbols", "timeframes", "providers", "history_start"]
"""What of a target `update_ingestion_target` can change."""

_PAGE_SIZE: Final = 1_000


class IngestionTargetCalls(Caller):
    """What is to be kept current."""

    async def list_ingestion_targets(
        self, *, timeout_seconds: float | None = None
    ) -> AsyncIterator[IngestionTarget]:
        """Yield targets by name, page by page.

        Parameters
        ----------
        timeout_seconds : float, optional
            Deadline of each page.
        """
        request = messages.ListIngestionTargetsRequest(page_size=_PAGE_SIZE)
        while True:
            page = await self._call(methods.LIST_INGESTION_TARGETS, request, timeout_seconds)
            for target in page.targets:
                yield _from_target(target)
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    async def create_ingestion_target(
        self, target: NewIngestionTarget, *, timeout_seconds: float | None = None
    ) -> IngestionTarget:
        """Store what is to be kept current; return it as stored.

        Parameters
        ----------
        target : NewIngestionTarget
            Its providers need not be ready; without symbols it is for all active ones.
        timeout_seconds : float, optional
            Deadline.

        Raises
        ------
        InvalidRequestError
            With every violation: unknown symbols among them.
        TargetAlreadyExistsError
            There is one of that name.
        TooManyTargetsError
            There are 1,000.
        """
        request = messages.CreateIngestionTargetRequest(
            name=target.name,
            symbols=target.symbols,
            all_symbols=not target.symbols,
            timeframes=[TIMEFRAME_TO_PROTO[timeframe] for timeframe in target.timeframes],
            providers=target.providers,
            history_start=date_to_text(target.history_start),
        )
        response = await self._call(methods.CREATE_INGESTION_TARGET, request, timeout_seconds)
        return _from_target(response.target)

    async def update_ingestion_target(
        self,
        target: NewIngestionTarget,
        fields: Iterable[TargetField],
        *,
        timeout_seconds: float | None = None,
    ) -> IngestionTarget:
        """Change a target; return it as stored. What was fetched for it stays.

        Parameters
        ----------
        target : NewIngestionTarget
            Its name, and the new values; only `fields` are read. Without symbols it is for all active
            ones, and without a start of history for none.
        fields : iterable of str
            What to change.
        timeout_seconds : float, optional
            Deadline.

        Raises
        ------
        TargetNotFoundError
            There is none of that name.
        InvalidRequestError
            With every violation.
        WriteConflictError
            Somebody else changed it meanwhile.
        """
        wanted = set(fields)
        # On the wire all symbols are a field of their own.
        paths = wanted | ({"all_symbols"} if "symbols" in wanted else set())
        request = messages.UpdateIngestionTargetRequest(
            name=target.name,
            target=_to_message(target),
            update_mask=FieldMask(paths=sorted(paths)),
        )
        response = await self._call(methods.UPDATE_INGESTION_TARGET, request, timeout_seconds)
        return _from_target(response.target)

    async def delete_ingestion_target(self, name: str, *, timeout_seconds: float | None = None) -> None:
        """Delete a target; what was fetched for it stays.

        Raises
        ------
        TargetNotFoundError
            There is none of that name.
        """
        request = messages.DeleteIngestionTargetRequest(name=name)
        await self._call(methods.DELETE_INGESTION_TARGET, request, timeout_seconds)


def _to_message(target: NewIngestionTarget) -> messages.IngestionTarget:
    return messages.IngestionTarget(
        symbols=target.symbols,
        all_symbols=not target.symbols,
        timeframes=[TIMEFRAME_TO_PROTO[timeframe] for timeframe in target.timeframes],
        providers=target.providers,
        history_start=date_to_text(target.history_start),
    )


def _from_target(message: messages.IngestionTarget) -> IngestionTarget:
    return IngestionTarget(
        name=message.name,
        symbols=tuple(message.symbols),
        timeframes=tuple(known(TIMEFRAME_FROM_PROTO, t, "timeframe") for t in message.timeframes),
        # A service of before tells one alone.
        providers=tuple(message.providers) or (message.provider,),
        history_start=date_from_text(message.history_start),
        target_id=message.target_id,
        created_us=message.create_time.ToMicroseconds(),
    )
