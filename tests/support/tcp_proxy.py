"""A proxy between a client and a service whose connections break on purpose."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Final

_CHUNK_BYTES: Final = 4_096


class BreakingProxy:
    """Passes bytes on, and breaks its connections where it is told.

    Parameters
    ----------
    address : str
        ``host:port`` of the service.
    """

    def __init__(self, address: str) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._cuts: Iterator[int] = iter(())
        self._open: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self.address = ""
        self.connections = 0

    def cut_after(self, *counts: int) -> None:
        """Break the next connections, each after so many bytes of the service's; later ones live."""
        self._cuts = iter(counts)
        self.connections = 0

    async def start(self) -> asyncio.Server:
        """Listen on a free port of the loopback interface."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        return server

    async def stop(self) -> None:
        """Break what is still open."""
        tasks = list(self._open)
        for ends in self._open.values():
            _abort(*ends)
        await asyncio.gather(*tasks)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = [writer]
        self.connections += 1
        most = next(self._cuts, None)
        up_reader, up_writer = await asyncio.open_connection(self._host, self._port)
        self._open[task].append(up_writer)
        up = asyncio.create_task(_pass_on(reader, up_writer, None))
        await _pass_on(up_reader, writer, most)
        _abort(writer, up_writer)
        await up
        del self._open[task]


def _abort(*ends: asyncio.StreamWriter) -> None:
    # Not closed: the client sees a reset, and loses what it has not read.
    for end in ends:
        end.transport.abort()


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None
) -> None:
    """Pass bytes on until the end, or until so many have been."""
    passed = 0
    with suppress(ConnectionError):
        while most is None or passed < most:
            room = _CHUNK_BYTES if most is None else min(_CHUNK_BYTES, most - passed)
            data = await reader.read(room)
            if not data:
                return
            writer.write(data)
            await writer.drain()
            passed += len(data)


@asynccontextmanager
async def breaking_proxy(address: str) -> AsyncIterator[BreakingProxy]:
    """Run a proxy in front of a service until the end of the context."""
    proxy = BreakingProxy(address)
    server = await proxy.start()
    try:
        yield proxy
    finally:
        server.close()
        await proxy.stop()
