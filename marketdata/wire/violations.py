"""Collects everything that is wrong with a request, to report it all at once."""

from collections.abc import Iterable, Sequence

from marketdata.errors import FieldViolation, InvalidRequestError, NotSupportedError

NOT_SUPPORTED = "NOT_SUPPORTED"


def under(prefix: str, found: Iterable[FieldViolation]) -> list[FieldViolation]:
    """Say violations of a message's fields by their paths in the message that holds it as `prefix`."""
    return [FieldViolation(f"{prefix}.{each.field}", each.reason, each.description) for each in found]


class Violations:
    """The violations of one request."""

    def __init__(self) -> None:
        self._found: list[FieldViolation] = []

    @property
    def are_any(self) -> bool:
        """Whether something is wrong so far."""
        return bool(self._found)

    def add(self, field: str, reason: str, description: str) -> None:
        """Note that `field` (a proto path) breaks a rule; see `FieldViolation`."""
        self._found.append(FieldViolation(field, reason, description))

    def not_supported(self, field: str, description: str) -> None:
        """Note that `field` asks for something that the contract names and nothing serves yet."""
        self.add(field, NOT_SUPPORTED, description)

    def extend(self, found: Iterable[FieldViolation]) -> None:
        """Note violations that somebody else found, of fields of which nothing is noted yet.

        Whoever looks a field up in the database sees a stand-in where the field itself is malformed.
        """
        noted = {violation.field for violation in self._found}
        self._found += [violation for violation in found if violation.field not in noted]

    @property
    def found(self) -> Sequence[FieldViolation]:
        """What was noted so far."""
        return tuple(self._found)

    def raise_any(self) -> None:
        """Raise for what was noted, if anything.

        Raises
        ------
        NotSupportedError
            Only things that are not served yet.
        InvalidRequestError
            Anything else.
        """
        if not self._found:
            return
        only_unserved = all(violation.reason == NOT_SUPPORTED for violation in self._found)
        error = NotSupportedError if only_unserved else InvalidRequestError
        raise error(violations=self._found)
