-- Ingestion: what was asked for (runs), how far each part of it is (tasks), and what was fetched already.

-- A person's own archive before vendors; consolidated tapes before the prints of one venue.
INSERT INTO market_feed (provider, feed, rank) VALUES
    ('files', 'archive', 500), ('alpha_vantage', 'core', 300), ('yahoo', 'chart', 200),
    ('alpaca', 'iex', 100), ('tiingo', 'iex', 90);

CREATE TABLE ingestion_run (
    run_id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_id          text NOT NULL UNIQUE,
    mode                text NOT NULL CHECK (mode IN ('batch', 'backfill')),
    provider            text NOT NULL,
    symbols             text[] NOT NULL,
    timeframes          text[] NOT NULL,
    range_start         timestamptz,
    range_end           timestamptz,
    refetches           boolean NOT NULL,
    state               text NOT NULL DEFAULT 'queued'
                        CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at          timestamptz,
    finished_at         timestamptz,
    cancel_requested_at timestamptz,
    error               text NOT NULL DEFAULT '',
    fetched             bigint NOT NULL DEFAULT 0,
    accepted            bigint NOT NULL DEFAULT 0,
    revised             bigint NOT NULL DEFAULT 0,
    unchanged           bigint NOT NULL DEFAULT 0,
    outranked           bigint NOT NULL DEFAULT 0,
    quarantined         bigint NOT NULL DEFAULT 0,
    flagged             bigint NOT NULL DEFAULT 0,
    epoch               bigint NOT NULL DEFAULT 0,
    owner               text NOT NULL DEFAULT '',
    lease_until         timestamptz,
    waits               jsonb NOT NULL DEFAULT '[]'
);
COMMENT ON COLUMN ingestion_run.request_id IS 'By which a caller can send the same request again safely.';
COMMENT ON COLUMN ingestion_run.fetched IS 'Bars that were fetched and accounted for; counts of it follow.';
COMMENT ON COLUMN ingestion_run.epoch IS
    'One more with every process that takes the run over: a write of an earlier one is refused.';
COMMENT ON COLUMN ingestion_run.lease_until IS 'Up to when its owner has it to itself, by this clock.';
COMMENT ON COLUMN ingestion_run.waits IS 'What its provider waits for at present.';
-- What there is to do: a few at a time.
CREATE INDEX ingestion_run_open ON ingestion_run (run_id) WHERE state IN ('queued', 'running');

CREATE TABLE ingestion_task (
    run_id      bigint NOT NULL REFERENCES ingestion_run ON DELETE CASCADE,
    task        integer NOT NULL,
    symbol_id   bigint NOT NULL REFERENCES market_symbol ON DELETE CASCADE,
    symbol      text COLLATE "C" NOT NULL,
    timeframe   text NOT NULL CHECK (timeframe IN ('1m', '1h', '1d')),
    range_start timestamptz NOT NULL,
    range_end   timestamptz NOT NULL,
    done_until  timestamptz NOT NULL,
    state       text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'failed')),
    fetched     bigint NOT NULL DEFAULT 0,
    error       text NOT NULL DEFAULT '',
    retry_at    timestamptz,
    PRIMARY KEY (run_id, task)
);
COMMENT ON TABLE ingestion_task IS 'A part of a run: a range of bars of one symbol.';
COMMENT ON COLUMN ingestion_task.done_until IS
    'Every bar before it is committed: raised in the transaction that stores them.';
COMMENT ON COLUMN ingestion_task.error IS 'Why it failed; of one that is open or done, what a person should know.';
-- Deleting a symbol looks for its tasks.
CREATE INDEX ingestion_task_symbol_id ON ingestion_task (symbol_id);

CREATE TABLE ingestion_fetched (
    provider  text NOT NULL,
    symbol_id bigint NOT NULL REFERENCES market_symbol ON DELETE CASCADE,
    timeframe text NOT NULL CHECK (timeframe IN ('1m', '1h', '1d')),
    ranges    tstzmultirange NOT NULL,
    PRIMARY KEY (provider, symbol_id, timeframe)
);
COMMENT ON COLUMN ingestion_fetched.ranges IS
    'The time of which the provider gave all that it has; where it had nothing, too.';
CREATE INDEX ingestion_fetched_symbol_id ON ingestion_fetched (symbol_id);
