"""Answers as of a point in time: what was known then, and nothing that came later."""

from functools import partial
from typing import Final, LiteralString

import pytest

from marketdata.storage.embedded import ServerAddress
from tests.support.databases import Databases
from tests.support.known_histories import History
from tests.support.rows import fetch
from tests.support.storage import Storage, opened_storage

pytestmark = pytest.mark.modes("plain", "apache", reason="many transactions at once")

# Whether a defect shows in one history is up to how its writers happen to meet.
_MOST_HISTORIES: Final = 6
# Defects that would make a history wrong, as statements that put them into the database.
_BUGS: Final[dict[str, LiteralString]] = {
    "a time at the beginning of the transaction": """
        CREATE OR REPLACE FUNCTION bar_write_take_seq() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            taken bar_log_head%ROWTYPE;
        BEGIN
            UPDATE bar_log_head AS head
               SET seq = head.seq + 1, committed_at = now(),
                   greatest = greatest(head.greatest, NEW.write_id)
            RETURNING head.* INTO STRICT taken;
            UPDATE bar_write SET seq = taken.seq, committed_at = taken.committed_at,
                                 greatest = taken.greatest
             WHERE write_id = NEW.write_id;
            RETURN NULL;
        END
        $$
    """,
    "a skipped revision": """
        CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RETURN CASE WHEN NEW.write_id % 3 = 0 THEN NULL ELSE NEW END;
        END
        $$;
        CREATE TRIGGER skip BEFORE INSERT ON bar_revision FOR EACH ROW EXECUTE FUNCTION skip()
    """,
    "a seq before COMMIT": """
        CREATE SEQUENCE early_seq;
        ALTER TABLE bar_log_head RENAME TO former_head;
        CREATE VIEW bar_log_head AS
            SELECT 1::smallint AS log_id, coalesce(max(seq), 0) AS seq,
                   coalesce(max(committed_at), now()) AS committed_at FROM bar_write;
        GRANT SELECT ON bar_log_head TO market_data_service_user;
        GRANT USAGE ON early_seq TO market_data_service_user;
        CREATE FUNCTION take_early() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.seq := nextval('early_seq');
            NEW.committed_at := clock_timestamp();
            NEW.greatest := greatest(NEW.write_id, (SELECT max(greatest) FROM bar_write));
            RETURN NEW;
        END
        $$;
        DROP TRIGGER bar_write_seq ON bar_write;
        CREATE TRIGGER early BEFORE INSERT ON bar_write FOR EACH ROW EXECUTE FUNCTION take_early()
    """,
    "a write that does not know which were greater": """
        CREATE OR REPLACE FUNCTION bar_write_take_seq() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            taken bar_log_head%ROWTYPE;
        BEGIN
            UPDATE bar_log_head AS head
               SET seq = head.seq + 1, committed_at = greatest(clock_timestamp(), head.committed_at)
            RETURNING head.* INTO STRICT taken;
            UPDATE bar_write SET seq = taken.seq, committed_at = taken.committed_at, greatest = write_id
             WHERE write_id = NEW.write_id;
            RETURN NULL;
        END
        $$
    """,
}


@pytest.mark.parametrize("seed", range(3))
async def test_read_given_a_random_history_answers_as_of_every_seq_what_was_read_then(
    storage: Storage, seed: int
) -> None:
    """Eight concurrent, delayed writers; bars, actions, deletions, renames; all ways of asking."""
    history = History(storage, seed)
    await history.run()
    assert len(history.records) > 60
    assert await history.find_difference() is None


@pytest.mark.parametrize("bug", _BUGS)
async def test_random_history_given_a_seeded_bug_finds_a_difference(
    databases: Databases, bug: str
) -> None:
    """The check can fail: each of these defects is seen by it, in one of a few histories."""
    for seed in range(7, 7 + _MOST_HISTORIES):
        database = await databases.migrated()
        try:
            async with opened_storage(database.for_service, owner=partial(_same, database)) as storage:
                await fetch(storage, _BUGS[bug])
                history = History(storage, seed)
                await history.run()
                if await history.find_difference() is not None:
                    return
        finally:
            databases.drop(database)
    pytest.fail("no history shows it")


def _same(database: ServerAddress) -> ServerAddress:
    return database
