-- Bars that break a rule of quality: kept aside instead of being stored, or stored and to be looked at.
-- The same in all storage modes. What was decided of them stays, so that the same bar, fetched again, does
-- not ask again.

CREATE TABLE bar_quarantine (
    quarantine_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id         bigint,
    provider       text NOT NULL,
    feed           text NOT NULL,
    symbol         text COLLATE "C" NOT NULL,
    timeframe      text NOT NULL CHECK (timeframe IN ('1m', '1h', '1d')),
    time           timestamptz NOT NULL,
    open           double precision NOT NULL,
    high           double precision NOT NULL,
    low            double precision NOT NULL,
    close          double precision NOT NULL,
    volume         double precision NOT NULL,
    vwap           double precision NOT NULL,
    trade_count    bigint NOT NULL,
    flags          smallint NOT NULL,
    rules          text[] NOT NULL,
    severity       text NOT NULL CHECK (severity IN ('invalid', 'reject', 'flag')),
    detail         text NOT NULL,
    state          text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'released', 'dropped')),
    reason         text NOT NULL DEFAULT '',
    quarantined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_at     timestamptz CHECK ((decided_at IS NULL) = (state = 'open')),
    -- Values and not rules: the same row can break other rules beside other neighbours. NaN equals NaN here.
    UNIQUE (symbol, timeframe, time, feed, open, high, low, close, volume, vwap, trade_count)
);
COMMENT ON TABLE bar_quarantine IS 'Bars as a provider gave them; severity flag: stored as well.';
COMMENT ON COLUMN bar_quarantine.run_id IS 'The run that found it first; NULL where none did.';
COMMENT ON COLUMN bar_quarantine.feed IS 'Its name, provider/feed; market_feed may not have it any more.';
COMMENT ON COLUMN bar_quarantine.time IS 'Brought within the years that bars may have; detail has what it was.';
COMMENT ON COLUMN bar_quarantine.severity IS 'Of the gravest of its rules.';

-- What a person has to look at, the newest first.
CREATE INDEX bar_quarantine_open ON bar_quarantine (quarantine_id) WHERE state = 'open';
CREATE INDEX bar_quarantine_run ON bar_quarantine (run_id, quarantine_id) WHERE run_id IS NOT NULL;
