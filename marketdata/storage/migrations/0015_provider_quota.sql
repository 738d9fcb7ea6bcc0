-- Calls of providers that allow only so many a day: counted here, so that they last through restarts and
-- all processes of the service share them.

CREATE TABLE provider_quota (
    provider text NOT NULL,
    key_id   text COLLATE "C" NOT NULL,
    day      date NOT NULL,
    calls    integer NOT NULL CHECK (calls > 0),
    PRIMARY KEY (provider, key_id, day)
);
COMMENT ON COLUMN provider_quota.key_id IS 'Stands for the key without telling it: a hash.';
COMMENT ON COLUMN provider_quota.day IS 'By the clock of the provider''s own day.';
COMMENT ON COLUMN provider_quota.calls IS 'Granted so far; a call that was then not made is lost.';
