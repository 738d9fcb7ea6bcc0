"""A writer in a process of its own that is stopped in the middle of its work.

    python -m tests.support.stopping_writer PARAMETERS WHERE

PARAMETERS are libpq's, as JSON. WHERE is a key of `PLACES`, where it stops itself once, or
``anywhere``: it then writes until it is ended, and somebody else stops it.
"""

import asyncio
import itertools
import json
import os
import signal
import sys
from typing import Final

from marketdata.domain.timeframe import Timeframe
from marketdata.storage import commit_few
from marketdata.storage.address import DatabaseAddress
from marketdata.storage.change_log import committed_seq
from marketdata.storage.commit import BarWriter
from marketdata.storage.partitions import Partitions
from marketdata.storage.pools import Connection, Pools
from marketdata.storage.stripes import lock_stripes
from tests.support.bars import Bar, days, frame_of
from tests.support.storage import TEST_LIMITS

DAY: Final = Timeframe.DAY_1
SYMBOL: Final = "STOPPED"
BARS: Final = frame_of([Bar(SYMBOL, days(20_000))])
ANYWHERE: Final = "anywhere"


async def stop(connection: Connection) -> None:
    """Stop this process once the server has done all that it was sent."""
    await (await connection.execute("SELECT 1")).fetchone()
    print("stopping", flush=True)  # noqa: T201
    os.kill(os.getpid(), signal.SIGSTOP)


async def stop_under_locks(pools: Pools) -> int:
    """Stop between the lock on the stripes and the first bar."""
    return (await BarWriter(pools, Partitions(pools)).commit_bars(BARS, DAY, stop)).seq


async def stop_before_commit(pools: Pools) -> int:
    """Stop when everything is written, the log's entry too, and only COMMIT is missing."""
    await Partitions(pools).ensure(DAY, BARS.time_us)
    async with pools.query() as connection:
        async with connection.transaction():
            await lock_stripes(connection, BARS.symbols, DAY)
            _, write_id = await commit_few._classify_and_write(connection, BARS, DAY)
            await stop(connection)
        return await committed_seq(connection, write_id)


PLACES: Final = {"under its locks": stop_under_locks, "before its COMMIT": stop_before_commit}


async def write_on(pools: Pools) -> None:
    """Write a bar after the other."""
    writer = BarWriter(pools, Partitions(pools))
    for number in itertools.count():
        bar = Bar(SYMBOL, days(20_000 + number % 25), volume=float(number))
        await writer.commit_bars(frame_of([bar]), DAY)
        if number == 0:
            print("writing", flush=True)  # noqa: T201


async def main(parameters: dict[str, str | int], where: str) -> None:
    """Write as told."""
    address = DatabaseAddress(
        host=str(parameters["host"]),
        port=int(parameters["port"]),
        database=str(parameters["dbname"]),
        user=str(parameters["user"]),
        password=str(parameters["password"]),
    )
    async with Pools(lambda: address, TEST_LIMITS) as pools:
        if where == ANYWHERE:
            await write_on(pools)
        else:
            print(await PLACES[where](pools), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1]), sys.argv[2]))
