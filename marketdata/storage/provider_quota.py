"""Calls a day of a provider's key, counted in the database: through restarts, and by all processes."""

from collections.abc import Mapping
from typing import Final

from marketdata.errors import ProviderLimitError
from marketdata.storage.pools import Pools

# The day, and how long it lasts, by the database's clock: processes need not agree on theirs. By the
# primary key. Two at once: the second waits for the row of the first, and then compares again.
_TAKE: Final = """
    WITH moment AS (
        SELECT (clock_timestamp() AT TIME ZONE %(zone)s)::date AS day
    ), taken AS (
        INSERT INTO provider_quota AS quota (provider, key_id, day, calls)
        SELECT %(provider)s, %(key_id)s, day, 1 FROM moment WHERE %(most)s::integer > 0
        ON CONFLICT (provider, key_id, day)
            DO UPDATE SET calls = quota.calls + 1 WHERE quota.calls < %(most)s::integer
        RETURNING calls
    )
    SELECT (SELECT calls FROM taken),
           extract(epoch FROM (day + 1)::timestamp AT TIME ZONE %(zone)s - clock_timestamp())::float8
      FROM moment
"""
_DEFAULT_ZONE: Final = "UTC"


class ProviderQuotas:
    """Grants the calls of a day, one by one: `marketdata.providers.protocol.Quota`.

    A call is counted, and on disk, before it is made. Whoever ends in between loses it; none is ever
    made that was not counted.

    Parameters
    ----------
    pools : Pools
        Where statements run.
    zones : mapping of str to str
        IANA zone whose midnight begins the day of a provider; UTC where it is not named.
    """

    def __init__(self, pools: Pools, zones: Mapping[str, str]) -> None:
        self._pools = pools
        self._zones = zones

    async def take(self, provider: str, key_id: str, calls_a_day: int) -> None:
        """Count one call, before it is made.

        Parameters
        ----------
        provider : str
            Its name.
        key_id : str
            Stands for the key.
        calls_a_day : int
            Most calls between two midnights of the provider's day.

        Raises
        ------
        ProviderLimitError
            There is none left today; says when there is.
        DatabaseUnavailableError, WriteConflictError
            It could not be counted: the call must not be made.
        """
        parameters = {
            "provider": provider,
            "key_id": key_id,
            "most": calls_a_day,
            "zone": self._zones.get(provider, _DEFAULT_ZONE),
        }
        async with self._pools.query() as connection:
            cursor = await connection.execute(_TAKE, parameters)
            calls, seconds_left = await cursor.fetchone() or (None, None)
        if calls is None:
            raise ProviderLimitError(
                f"all {calls_a_day} calls of today are used up at {provider}; wait for tomorrow"
                f" ({parameters['zone']}), or get a key of a larger plan",
                retry_after_seconds=seconds_left,
            )
