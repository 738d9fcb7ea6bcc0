"""What a provider does to an ingestion run, which notes it."""

from marketdata.errors.root import MarketDataError


class ProviderError(MarketDataError):
    """A provider does not give what it was asked for; ingestion runs note it and go on with the rest.

    Parameters
    ----------
    message : str
        What is wrong and what to do, for people; never a key, nor an address that holds one.
    retry_after_seconds : float, optional
        When asking again may succeed.
    """

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_seconds = retry_after_seconds


class ProviderUnavailableError(ProviderError):
    """It does not answer or fails, however often it is asked."""


class ProviderLimitError(ProviderError):
    """Its limit of calls is used up; `retry_after_seconds` says when there are more."""


class ProviderAnswerError(ProviderError):
    """Its answer is not what its documentation says."""


class ProviderSymbolError(ProviderError):
    """It does not know the symbol: no evidence that the symbol does not exist."""


class ProviderKeyError(ProviderError):
    """The key is missing or refused, or its plan does not include what was asked for."""
