"""What an operator can get while starting or maintaining the service."""

from marketdata.errors.root import MarketDataError


class SetupError(MarketDataError):
    """The service cannot be started or maintained as asked; the message says what to do."""


class ConfigurationError(SetupError):
    """Settings are missing or wrong; the message lists every problem at once."""


class DatabaseSetupError(SetupError):
    """PostgreSQL cannot be started, reached or used as it is."""


class DataFolderInUseError(SetupError):
    """Another process serves from this data folder."""


class MigrationError(SetupError):
    """The database's schema does not fit this release and cannot be brought there."""


class StorageSettingError(SetupError):
    """How bars are kept cannot be set as asked, or retention is not confirmed; nothing was changed."""


class AddressInUseError(SetupError):
    """The service's port is taken by another process."""


class SampleUnavailableError(SetupError):
    """The sample data package is missing or not the release that this code reads."""


class BarFileError(SetupError):
    """A file of bars cannot be read or written as asked."""


class PlotTooNarrowError(SetupError):
    """There is no room for a plot in the terminal."""
