-- Why bars are missing: what providers failed at, and between which bars each gave any. The same in all
-- storage modes.

CREATE TABLE ingestion_failed (
    provider  text NOT NULL,
    symbol_id bigint NOT NULL REFERENCES market_symbol ON DELETE CASCADE,
    timeframe text NOT NULL CHECK (timeframe IN ('1m', '1h', '1d')),
    ranges    tstzmultirange NOT NULL CHECK (NOT isempty(ranges)),
    error     text NOT NULL,
    retry_at  timestamptz,
    run_id    bigint NOT NULL,
    noted_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (provider, symbol_id, timeframe)
);
COMMENT ON TABLE ingestion_failed IS
    'The time for which a provider was asked in vain, and that it did not give since.';
COMMENT ON COLUMN ingestion_failed.error IS 'Of the last time; so are retry_at and run_id.';
COMMENT ON COLUMN ingestion_failed.run_id IS 'It may be trimmed already: what failed stays true.';
-- Deleting a symbol looks for its rows, and so does coverage.
CREATE INDEX ingestion_failed_symbol_id ON ingestion_failed (symbol_id);

ALTER TABLE ingestion_fetched
    ADD COLUMN first_time timestamptz,
    ADD COLUMN last_time  timestamptz,
    ADD COLUMN deleted    tstzmultirange NOT NULL DEFAULT '{}',
    ADD CHECK ((first_time IS NULL) = (last_time IS NULL) AND first_time <= last_time);
COMMENT ON COLUMN ingestion_fetched.first_time IS 'Of the first bar that the provider ever gave; NULL: none.';
COMMENT ON COLUMN ingestion_fetched.last_time IS 'Of the last bar that the provider ever gave.';
COMMENT ON COLUMN ingestion_fetched.deleted IS
    'Within which bars were deleted since they were fetched: that they are missing is not the provider''s word.';

-- What was fetched before: the bars that are stored stand in for those that were given.
UPDATE ingestion_fetched AS known
   SET first_time = held.first_time, last_time = held.last_time
  FROM (SELECT validity.symbol_id, latest.timeframe, min(latest.first_time) AS first_time,
               max(latest.time) AS last_time
          FROM symbol_validity AS validity JOIN bar_latest AS latest USING (symbol)
         GROUP BY validity.symbol_id, latest.timeframe) AS held
 WHERE held.symbol_id = known.symbol_id AND held.timeframe = known.timeframe;
