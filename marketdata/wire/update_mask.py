"""Update masks: which fields of a message a request changes."""

from collections.abc import Sequence
from typing import Final

from marketdata.wire.violations import Violations

# More than there are; four megabytes hold a million, and each wrong one would be described.
_MOST_PATHS: Final = 50
_MOST_PATH_CHARACTERS: Final = 50


def parse_mask(paths: Sequence[str], fields: Sequence[str], violations: Violations) -> Sequence[str]:
    """Read the paths of a request's ``update_mask``; what is wrong with them is noted.

    Parameters
    ----------
    paths : sequence of str
        As sent.
    fields : sequence of str
        What can be changed.

    Returns
    -------
    sequence of str
        The fields to change, without repeats and in the order of `fields`.
    """
    if not paths:
        problem = f"is empty; name the fields to change: {', '.join(fields)}"
        violations.add("update_mask", "REQUIRED", problem)
    if len(paths) > _MOST_PATHS:
        problem = f"has {len(paths)} paths; name each field once"
        violations.add("update_mask", "TOO_MANY", problem)
        return ()
    for position, path in enumerate(paths):
        if path not in fields:
            named = path if len(path) <= _MOST_PATH_CHARACTERS else f"{path[:_MOST_PATH_CHARACTERS]}…"
            problem = f"{named!r} cannot be changed; the fields are {', '.join(fields)}"
            violations.add(f"update_mask.paths[{position}]", "UNKNOWN_FIELD", problem)
    return [path for path in fields if path in paths]
