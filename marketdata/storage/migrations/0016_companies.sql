-- What is known of the companies behind symbols.

CREATE TABLE market_stock (
    symbol_id          bigint PRIMARY KEY REFERENCES market_symbol ON DELETE CASCADE,
    name               text NOT NULL,
    sector             text COLLATE "C" NOT NULL,
    industry           text NOT NULL,
    employees          bigint CHECK (employees >= 0),
    market_cap         double precision CHECK (market_cap > 0 AND market_cap < 'infinity'),
    shares_outstanding double precision CHECK (shares_outstanding > 0 AND shares_outstanding < 'infinity'),
    currency           text NOT NULL,
    ipo_date           date,
    as_of              date,
    source             text NOT NULL,
    updated_at         timestamptz NOT NULL
);
-- Lists of symbols filter by it.
CREATE INDEX market_stock_sector ON market_stock (sector);
COMMENT ON TABLE market_stock IS 'A row a company of which something is known; the rest is empty or NULL.';
COMMENT ON COLUMN market_stock.sector IS 'In the words of its source.';
COMMENT ON COLUMN market_stock.market_cap IS 'In currency.';
COMMENT ON COLUMN market_stock.as_of IS 'The day for which employees, market_cap and shares_outstanding hold.';
COMMENT ON COLUMN market_stock.source IS 'Who said the last change: a provider, or manual.';
COMMENT ON COLUMN market_stock.updated_at IS 'When that was stored, by the clock of the database.';
