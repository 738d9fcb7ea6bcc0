"""Positions in the change log: what a reader keeps to go on from, as values and as text."""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from typing import Final, Self

from marketdata.errors import (
    InvalidLogPositionError,
    LogAheadError,
    LogGenerationError,
    LogTrimmedError,
)

#: The one log of today. A token has a list of them, so that a second one needs no other tokens.
LOG_ID: Final = 1

_VERSION: Final = 1
_GENERATION_BYTES: Final = 8
# A token that lost characters on the way would otherwise name another position. It is no signature:
# whoever makes up a token gets no more than the entries that anybody can have.
_CHECKSUM_BYTES: Final = 4
# Parts these tokens from others that begin with the same version.
_PERSON: Final = b"log-position"
_HEAD: Final = struct.Struct(f">B{_GENERATION_BYTES}sB")
_ENTRY: Final = struct.Struct(">HQ")


@dataclass(frozen=True, slots=True)
class LogPosition:
    """Where a reader of the change log stands: behind the entries of `seq`, before the next ones.

    Attributes
    ----------
    generation : str
        The history that `seq` counts in; 16 hex digits.
    seq : int
        The last one whose entries were read, all of them; 0 before the first.
    """

    generation: str
    seq: int

    def to_token(self) -> str:
        """Write the position as text that needs no quoting; `from_token` reads it back."""
        head = _HEAD.pack(_VERSION, bytes.fromhex(self.generation), 1)
        body = head + _ENTRY.pack(LOG_ID, self.seq)
        return base64.urlsafe_b64encode(body + _checksum(body)).rstrip(b"=").decode()

    @classmethod
    def from_token(cls, token: str) -> Self:
        """Read a position that `to_token` wrote.

        Raises
        ------
        InvalidLogPositionError
            The text is no such token, or a later release's.
        """
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        body, checksum = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
        if len(body) < _HEAD.size or checksum != _checksum(body):
            raise InvalidLogPositionError(
                "the position is not a token of this service, or was cut; send one as it was received, "
                "or none to begin with what is stored now"
            )
        version, generation, count = _HEAD.unpack_from(body)
        if version != _VERSION or count != 1 or len(body) != _HEAD.size + _ENTRY.size:
            raise _later_release()
        log_id, seq = _ENTRY.unpack_from(body, _HEAD.size)
        if log_id != LOG_ID:
            raise _later_release()
        return cls(generation.hex(), seq)


@dataclass(frozen=True, slots=True)
class LogBounds:
    """What the change log holds at a moment.

    Attributes
    ----------
    generation : str
        See `LogPosition`.
    oldest_seq : int
        Entries from here on are there, up to `head_seq`, without a gap.
    head_seq : int
        The last one; 0 in an empty log.
    committed_us : int
        When the last one was committed, Unix microseconds; in an empty log, when it was made.
    """

    generation: str
    oldest_seq: int
    head_seq: int
    committed_us: int

    @property
    def head(self) -> LogPosition:
        """The position behind the last entry."""
        return LogPosition(self.generation, self.head_seq)

    def admit(self, position: LogPosition) -> None:
        """Make sure that everything behind a position is there.

        Raises
        ------
        LogGenerationError
            The position is of another history.
        LogAheadError
            It is behind the last entry.
        LogTrimmedError
            Entries behind it were trimmed.
        """
        if position.generation != self.generation:
            raise other_generation(position, self.generation)
        if position.seq > self.head_seq:
            raise LogAheadError(
                f"position {position.seq} is ahead of the change log, which ends with {self.head_seq}: "
                "it comes from another database, or from before a restore; read what is stored, and go "
                "on from the seq of that answer",
                metadata={"seq": str(position.seq), "head_seq": str(self.head_seq)},
            )
        if position.seq < self.oldest_seq - 1:
            raise trimmed(position.seq, self.oldest_seq)


def make_generation(stored: bytes, system_identifier: int, timeline: int, database_oid: int) -> str:
    """Name a history of the change log by all that tells it from others.

    Parameters
    ----------
    stored : bytes
        What the database itself holds; renewed by an operator after a restore of files.
    system_identifier : int
        Of the server: another one after a dump was restored elsewhere.
    timeline : int
        Of the server's WAL: another one after a recovery to a point in time, or a failover.
    database_oid : int
        Of the database: another one after a dump was restored on the same server.
    """
    body = stored + struct.pack(">qII", system_identifier, timeline, database_oid)
    return hashlib.blake2b(body, digest_size=_GENERATION_BYTES, person=b"generation").hexdigest()


def trimmed(seq: int, oldest_seq: int) -> LogTrimmedError:
    """Say that what is behind `seq` is not there any more."""
    return LogTrimmedError(
        f"the entries behind {seq} of the change log were trimmed, the oldest that is left is "
        f"{oldest_seq}; read what is stored, and go on from the seq of that answer",
        metadata={"seq": str(seq), "oldest_seq": str(oldest_seq)},
    )


def other_generation(position: LogPosition, generation: str) -> LogGenerationError:
    """Say that a position is of another history than the log."""
    return LogGenerationError(
        f"position {position.seq} is of generation {position.generation} of the change log, which is "
        f"{generation} now: the database was restored or replaced; read what is stored, and go on from "
        "the seq of that answer",
        metadata={"generation": generation, "seq": str(position.seq)},
    )


def _later_release() -> InvalidLogPositionError:
    return InvalidLogPositionError(
        "the position is of a later release than this one; ask a service of that release, or send none "
        "to begin with what is stored now"
    )


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECKSUM_BYTES, person=_PERSON).digest()
