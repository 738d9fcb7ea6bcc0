"""Options that several commands have, and what they are turned into."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from marketdata.client.times import AsOfPoint
from marketdata.config import load_settings
from marketdata.domain.timeframe import Timeframe

DATE_FORMATS: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]

# In parentheses: rich takes what stands in brackets for markup and leaves it out.
Address = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="Where the service is (default: MARKETDATA_HOST and MARKETDATA_PORT)"
    ),
]
Symbols = Annotated[list[str], typer.Argument(metavar="SYMBOL", help="Tickers, such as AAPL IBM")]
TimeframeOption = Annotated[
    Timeframe, typer.Option("--timeframe", "-t", help="How much time each bar covers")
]
Start = Annotated[
    datetime | None,
    typer.Option(
        metavar="TIME",
        formats=DATE_FORMATS,
        help="First time, UTC, inclusive: 2005-02-28 or 2005-02-28T14:30:00 (default: the first bar)",
    ),
]
End = Annotated[
    datetime | None,
    typer.Option(
        metavar="TIME",
        formats=DATE_FORMATS,
        help="Last time, UTC, exclusive (default: behind the last)",
    ),
]


AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="SEQ|TIME",
        help="What the service knew then: a seq, as it reports them, or a time, UTC (default: now)",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="For pipes: a JSON object a line, numbers in full precision")
]
AsCsv = Annotated[
    bool, typer.Option("--csv", help="For pipes: CSV with a header, numbers in full precision")
]


def utc(time: datetime | None) -> datetime | None:
    """Read a time without a zone, as options give it, as UTC."""
    return time.replace(tzinfo=UTC) if time else None


def as_of_point(text: str | None) -> AsOfPoint | None:
    """Read a seq, or a time in ISO 8601; without a zone it is UTC.

    Raises
    ------
    typer.BadParameter
        It is neither.
    """
    if text is None or text.isdecimal():
        return int(text) if text else None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"--as-of {text!r} is neither a seq, such as 17, nor a time, such as 2024-01-02T14:30:00."
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def service_address(address: str | None) -> str:
    """Give the address that was asked for, or the settings' own.

    Raises
    ------
    ConfigurationError
        The settings are needed and wrong.
    """
    if address:
        return address
    settings = load_settings()
    return f"{settings.host}:{settings.port}"


def refuse_several(given: Mapping[str, bool]) -> None:
    """Refuse options of which at most one makes sense, as a mistake of usage.

    Parameters
    ----------
    given : mapping of str to bool
        The options, and whether each was given.

    Raises
    ------
    typer.BadParameter
        More than one was given; the command ends with exit code 2.
    """
    chosen = [option for option, is_given in given.items() if is_given]
    if len(chosen) > 1:
        raise typer.BadParameter(f"{' and '.join(chosen)} exclude each other; give one of them.")
