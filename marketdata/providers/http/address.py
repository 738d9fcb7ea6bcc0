"""Where a provider is: addresses that a key may be sent to."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

_LOOPBACK_NAME: Final = "localhost"


def address_problem(address: str) -> str | None:
    """Say what is wrong with the base address of a provider, or None where keys may be sent there.

    Parameters
    ----------
    address : str
        ``https://host[:port][/path]``. Plain http only on loopback, for tests and local proxies: a
        key would cross the network in the clear.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no address; write https://host"
    if not host or parts.query or parts.fragment or parts.username:
        return "is no address of a provider; write https://host, with a path where it needs one"
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)):
        return None
    return "has to begin with https:// (http:// only on loopback): keys are sent there"


def _is_loopback(host: str) -> bool:
    if host == _LOOPBACK_NAME:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
