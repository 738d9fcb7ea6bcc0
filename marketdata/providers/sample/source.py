"""The sample's client: finds and reads the file that the package `bokeh_sampledata` installs."""

import gzip
import hashlib
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from marketdata.errors import SampleUnavailableError
from marketdata.providers.sample.parse import SampleStock, parse_stocks

SAMPLE_PACKAGE: Final = "bokeh_sampledata"
# The release that `bifrost-marketdata[sample]` pins; older ones carry other stocks' files.
SAMPLE_RELEASE: Final = "2026.1"
# Of the unpacked text: packing it anew must not look like other data. Bars, splits and dividends
# were verified for exactly this text, so any other is refused instead of being loaded half right.
SAMPLE_SHA256: Final = "e73fe05d106b7da1abe8f947264c514afd02cef5c9db4864b9437c84d6bd6069"

_REMEDY: Final = "install it with: pip install 'bifrost-marketdata[sample]'"


def fetch_sample_stocks() -> tuple[SampleStock, ...]:
    """Read the sample data set from the installed package.

    Blocks for up to 100 ms (unpacking and parsing 0.8 MB): an event loop calls it in a thread.

    Returns
    -------
    tuple of SampleStock
        AAPL, FB, GOOG, IBM, MSFT: raw daily bars and corporate actions.

    Raises
    ------
    SampleUnavailableError
        The package is missing, or its file is not the one of the known release.
    """
    return parse_stocks(read_sample_text(locate_sample()))


def locate_sample() -> Path:
    """Find the packed file without importing the package.

    The package's own modules import pandas, which this service does not need at run time.

    Returns
    -------
    Path
        Where the file has to be; it may be absent in another release.

    Raises
    ------
    SampleUnavailableError
        The package is not installed.
    """
    spec = find_spec(SAMPLE_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SampleUnavailableError(
            f"the sample data needs the package {SAMPLE_PACKAGE}, which is not installed; {_REMEDY}"
        )
    return Path(spec.submodule_search_locations[0]) / "_data" / "stocks.csv.gz"


def read_sample_text(path: Path) -> str:
    """Unpack the file and hold it to the known release's content.

    Parameters
    ----------
    path : Path
        The packed file, see `locate_sample`.

    Returns
    -------
    str
        The CSV text that `parse_stocks` reads.

    Raises
    ------
    SampleUnavailableError
        The file is missing, damaged, or holds another content.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise SampleUnavailableError(
            f"the sample data in {path} cannot be read ({type(error).__name__}); {_REMEDY}"
        ) from error
    if hashlib.sha256(content).hexdigest() != SAMPLE_SHA256:
        raise SampleUnavailableError(
            f"the sample data in {path} is not that of {SAMPLE_PACKAGE} {SAMPLE_RELEASE},"
            f" the only release this service reads; {_REMEDY}"
        )
    return content.decode("utf-8")
