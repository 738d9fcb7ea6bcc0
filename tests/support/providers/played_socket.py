"""A loopback server that plays the other end of a feed's WebSocket, to one client at a time."""

from aiohttp import web


class PlayedSocket:
    """Listens on a port of the kernel's choice; who plays a feed says what it answers.

    Attributes
    ----------
    address : str
        ``http://127.0.0.1:port``.
    socket : WebSocketResponse or None
        Of the client that is there, or was last.
    """

    path = "/"

    def __init__(self) -> None:
        self.address = ""
        self.socket: web.WebSocketResponse | None = None
        self._runner: web.AppRunner | None = None

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve a client."""
        raise NotImplementedError

    async def tell_texts(self, *texts: str) -> None:
        """Send any texts to the client."""
        assert self.socket is not None
        for text in texts:
            await self.socket.send_str(text)

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_get(self.path, self.handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.address = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Break what is still open."""
        if self.socket is not None:
            await self.socket.close()
        if self._runner is not None:
            await self._runner.cleanup()
