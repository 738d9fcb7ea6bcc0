-- Symbols, feeds, corporate actions, the latest bars and the change log. The same in all storage modes.

CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE TABLE market_symbol (
    symbol_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    symbol           text COLLATE "C" NOT NULL,
    name             text NOT NULL DEFAULT '',
    venue            text NOT NULL,
    asset_class      text NOT NULL,
    currency         text NOT NULL,
    calendar         text NOT NULL,
    time_zone        text NOT NULL,
    tick_size        double precision CHECK (tick_size > 0),
    status           text NOT NULL,
    ipo_date         date,
    provider_symbols jsonb NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE market_symbol IS 'One row an identity; symbol is its latest ticker.';
CREATE INDEX market_symbol_symbol ON market_symbol (symbol, symbol_id);

-- A ticker names one identity at a time; renames and reuse are rows, never edits.
CREATE TABLE symbol_validity (
    symbol_id  bigint NOT NULL REFERENCES market_symbol ON DELETE CASCADE,
    symbol     text COLLATE "C" NOT NULL,
    valid_from date,
    valid_to   date,
    CHECK (valid_from < valid_to),
    CONSTRAINT symbol_validity_no_overlap
        EXCLUDE USING gist (symbol WITH =, daterange(valid_from, valid_to) WITH &&)
);
COMMENT ON TABLE symbol_validity IS
    'Session dates [valid_from, valid_to) during which symbol named symbol_id; null is unbounded.';
CREATE UNIQUE INDEX symbol_validity_open ON symbol_validity (symbol) WHERE valid_to IS NULL;
CREATE INDEX symbol_validity_symbol ON symbol_validity (symbol, valid_to);
CREATE INDEX symbol_validity_symbol_id ON symbol_validity (symbol_id);

CREATE TABLE market_feed (
    feed_id  smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider text NOT NULL,
    feed     text NOT NULL,
    rank     smallint NOT NULL,
    UNIQUE (provider, feed)
);
COMMENT ON COLUMN market_feed.rank IS
    'The greater outranks: a bar of a lower rank never replaces one of a higher rank.';
INSERT INTO market_feed (provider, feed, rank) VALUES ('manual', 'upload', 1000), ('sample', 'eod', 10);

CREATE TABLE market_corporate_action (
    action_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    symbol_id   bigint NOT NULL REFERENCES market_symbol ON DELETE CASCADE,
    kind        text NOT NULL CHECK (kind IN ('split', 'cash_dividend')),
    ex_date     date NOT NULL,
    split_ratio double precision CHECK (split_ratio > 0 AND split_ratio < 'Infinity'),
    cash_amount double precision CHECK (cash_amount > 0 AND cash_amount < 'Infinity'),
    currency    text NOT NULL,
    source      text NOT NULL,
    CHECK ((kind = 'split') = (split_ratio IS NOT NULL)),
    CHECK ((kind = 'cash_dividend') = (cash_amount IS NOT NULL)),
    UNIQUE (symbol_id, kind, ex_date)
);
COMMENT ON COLUMN market_corporate_action.split_ratio IS 'New shares for one old share.';
COMMENT ON COLUMN market_corporate_action.cash_amount IS
    'A share, as declared: not adjusted for later splits.';

-- The newest bar per symbol and timeframe, kept by every writer in its own transaction.
CREATE TABLE bar_latest (
    symbol      text COLLATE "C" NOT NULL,
    timeframe   text NOT NULL CHECK (timeframe IN ('1m', '1h', '1d')),
    time        timestamptz NOT NULL,
    open        double precision NOT NULL,
    high        double precision NOT NULL,
    low         double precision NOT NULL,
    close       double precision NOT NULL,
    volume      double precision NOT NULL,
    vwap        double precision NOT NULL,
    trade_count bigint NOT NULL,
    feed        smallint NOT NULL,
    flags       smallint NOT NULL,
    revision    integer NOT NULL,
    write_id    bigint NOT NULL,
    PRIMARY KEY (symbol, timeframe)
);

-- The change log. bar_write has one row a transaction; its seq is taken inside COMMIT from the head row,
-- so that seq has no gap and follows the order of commits. bar_change says what each transaction changed.
CREATE SEQUENCE bar_write_id;

CREATE TABLE bar_log_head (
    log_id       smallint PRIMARY KEY CHECK (log_id = 1),
    seq          bigint NOT NULL,
    committed_at timestamptz NOT NULL
) WITH (fillfactor = 10); -- one hot row: room for its versions on one page
INSERT INTO bar_log_head VALUES (1, 0, now());

CREATE TABLE bar_write (
    write_id     bigint PRIMARY KEY,
    seq          bigint UNIQUE,
    committed_at timestamptz
);

CREATE TABLE bar_change (
    write_id    bigint NOT NULL,
    part        smallint NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('bars', 'deleted', 'retention', 'action', 'symbol')),
    symbols     text[] NOT NULL,
    timeframe   text,
    range_start timestamptz,
    range_end   timestamptz,
    accepted    integer NOT NULL DEFAULT 0,
    revised     integer NOT NULL DEFAULT 0,
    bars        bytea,
    PRIMARY KEY (write_id, part)
);
COMMENT ON COLUMN bar_change.bars IS
    'The changed bars as rows of the COPY codec, with an index into symbols; null where there are too many.';

-- Runs inside COMMIT (deferred): the head row is locked for the time of the flush only, never across a
-- client round trip. committed_at never goes back, whatever the clock does.
CREATE FUNCTION bar_write_take_seq() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    taken_seq bigint;
    taken_at  timestamptz;
BEGIN
    UPDATE bar_log_head AS head
       SET seq = head.seq + 1, committed_at = greatest(clock_timestamp(), head.committed_at)
     WHERE head.log_id = 1
    RETURNING head.seq, head.committed_at INTO STRICT taken_seq, taken_at;
    UPDATE bar_write SET seq = taken_seq, committed_at = taken_at WHERE write_id = NEW.write_id;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER bar_write_seq AFTER INSERT ON bar_write
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION bar_write_take_seq();
