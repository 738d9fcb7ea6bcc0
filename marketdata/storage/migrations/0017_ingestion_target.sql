-- What operators want kept current. The same in all storage modes.

CREATE TABLE ingestion_target (
    target_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text COLLATE "C" NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9_-]{1,50}$'),
    symbols       text[] NOT NULL CHECK (cardinality(symbols) <= 5000),
    symbol_count  integer NOT NULL GENERATED ALWAYS AS (cardinality(symbols)) STORED,
    timeframes    text[] NOT NULL
                  CHECK (cardinality(timeframes) > 0 AND timeframes <@ ARRAY['1m', '1h', '1d']),
    provider      text NOT NULL,
    history_start date,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN ingestion_target.symbols IS
    'Tickers as the operator named them; empty: all active symbols, also those of later.';
COMMENT ON COLUMN ingestion_target.symbol_count IS 'So that a page is measured without reading its symbols.';
COMMENT ON COLUMN ingestion_target.provider IS 'Its name; it need not be ready yet.';
COMMENT ON COLUMN ingestion_target.history_start IS 'NULL: no history but what a batch fetches.';
