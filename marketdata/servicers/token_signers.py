"""What signs resume tokens: by a key of the settings, or the one that the database keeps."""

from collections.abc import Awaitable, Callable

from marketdata.storage.pools import Pools
from marketdata.storage.token_key import read_token_key
from marketdata.wire.resume_token import TokenSigner


class TokenSigners:
    """Gives the signer of the process, once its key is known.

    Parameters
    ----------
    read_key : callable
        Reads the key, when it is needed first: the database is not open yet when this is made.
    """

    def __init__(self, read_key: Callable[[], Awaitable[bytes]]) -> None:
        self._read_key = read_key
        self._signer: TokenSigner | None = None

    async def get(self) -> TokenSigner:
        """Give the signer.

        Raises
        ------
        DatabaseUnavailableError, QueryTimeoutError
            The key cannot be read now; the next call tries again.
        """
        if self._signer is None:
            self._signer = TokenSigner(await self._read_key())
        return self._signer


def build_signers(configured: str, pools: Pools) -> TokenSigners:
    """Make the signers of a process; an empty key is the database's."""

    async def read_key() -> bytes:
        return configured.encode() or await read_token_key(pools)

    return TokenSigners(read_key)
