"""As whom a service works that an operator has started with nothing configured."""

from typing import Any

import psycopg

from marketdata.storage.address import SERVICE_ROLE
from tests.acceptance.processes import Service


def test_serve_given_an_embedded_database_works_as_the_services_role(shared: Service) -> None:
    """None of its connections is the owner's."""
    parameters: dict[str, Any] = shared.database().connection_parameters()
    with psycopg.connect(**parameters) as connection:
        found = connection.execute(
            "SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name LIKE 'marketdata-%'"
        ).fetchall()
    assert found == [(SERVICE_ROLE,)]
