"""The embedded PostgreSQL: a real server from a wheel, run by the service when none is given.

`EmbeddedPostgres` owns one data folder's server, `supervise` keeps it running, `borrowed_address`
and `attach` are for commands beside a service. ``server.py`` is where to start reading.
"""

from marketdata.storage.embedded.address import ServerAddress
from marketdata.storage.embedded.adoption import attach
from marketdata.storage.embedded.folder import default_data_folder
from marketdata.storage.embedded.server import EmbeddedPostgres, borrowed_address
from marketdata.storage.embedded.supervisor import supervise

__all__ = [
    "EmbeddedPostgres",
    "ServerAddress",
    "attach",
    "borrowed_address",
    "default_data_folder",
    "supervise",
]
