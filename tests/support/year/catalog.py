"""The providers of a simulated year, by their names."""

from collections.abc import Sequence

from marketdata.domain.provider import ProviderDescription
from marketdata.errors import InvalidRequestError
from marketdata.providers.protocol import Provider


class Catalog:
    """Has some adapters, each over its played provider."""

    def __init__(self, *providers: Provider) -> None:
        self._providers = {provider.capabilities.name: provider for provider in providers}

    def get(self, name: str) -> Provider:
        """Find one by its name."""
        if name not in self._providers:
            raise InvalidRequestError(f"there is no provider {name}")
        return self._providers[name]

    def describe(self) -> Sequence[ProviderDescription]:
        """Describe all."""
        return [
            ProviderDescription(
                can.name,
                can.title,
                feeds=can.feeds,
                history=can.history,
                has_actions=can.has_actions,
                has_company=can.has_company,
            )
            for can in (provider.capabilities for provider in self._providers.values())
        ]

    def find(self, name: str) -> ProviderDescription | None:
        """Describe one by its name."""
        return next((provider for provider in self.describe() if provider.name == name), None)
