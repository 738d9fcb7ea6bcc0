-- Runs that fetch facts of symbols instead of bars, and who told a corporate action or a fact of a company.

ALTER TABLE ingestion_run DROP CONSTRAINT ingestion_run_mode_check;
ALTER TABLE ingestion_run ADD CONSTRAINT ingestion_run_mode_check
    CHECK (mode IN ('batch', 'backfill', 'actions', 'company'));
COMMENT ON COLUMN ingestion_run.fetched IS
    'Bars, or facts of symbols, that were fetched and accounted for; counts of it follow.';

ALTER TABLE ingestion_task ALTER COLUMN timeframe DROP NOT NULL;
COMMENT ON COLUMN ingestion_task.timeframe IS 'NULL where a task fetches no bars.';

CREATE TABLE reference_fetched (
    provider   text NOT NULL,
    symbol_id  bigint NOT NULL REFERENCES market_symbol ON DELETE CASCADE,
    kind       text NOT NULL CHECK (kind IN ('actions', 'company')),
    fetched_on date NOT NULL,
    PRIMARY KEY (provider, symbol_id, kind)
);
COMMENT ON COLUMN reference_fetched.fetched_on IS
    'The day on which the provider has told everything: of actions it is asked about a trailing window from then on.';
CREATE INDEX reference_fetched_symbol_id ON reference_fetched (symbol_id);

ALTER TABLE market_corporate_action ADD COLUMN provider text NOT NULL DEFAULT '';
COMMENT ON COLUMN market_corporate_action.provider IS
    'Who tells it, the highest-ranked of several; empty: a person. A lower-ranked one does not change it.';
-- What the sample of this service brought along, which every provider outranks.
UPDATE market_corporate_action SET provider = 'sample'
 WHERE source IN ('public record, confirmed by the sample''s adjusted close',
                  'inferred from the sample''s adjusted close');

ALTER TABLE market_stock ADD COLUMN origins jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN market_stock.origins IS
    'Who told each known fact, and for which day: {"sector": ["yahoo", "2026-11-21"]}; as_of is not there.';
-- Before, only people told any.
UPDATE market_stock SET origins =
    (SELECT coalesce(jsonb_object_agg(key, jsonb_build_array(source, updated_at::date::text)), '{}')
       FROM jsonb_each_text(to_jsonb(market_stock)) WHERE value <> ''
        AND key IN ('name', 'sector', 'industry', 'employees', 'market_cap', 'shares_outstanding',
                    'currency', 'ipo_date'));

-- Why a symbol has the status that it has: with its versions, as the status itself.
ALTER TABLE market_symbol ADD COLUMN status_evidence jsonb;
COMMENT ON COLUMN market_symbol.status_evidence IS
    '{"source", "day", "text", "noted_at"}; NULL: it has had this status since it was created.';
ALTER TABLE market_symbol_revision ADD COLUMN status_evidence jsonb;
