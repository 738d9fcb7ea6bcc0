-- What was known when: superseded versions of bars, corporate actions, symbols and their tickers, and the
-- order in which writes became known. The same in all storage modes.

-- write_ids are handed out before writes commit, so they do not follow seq. Of a write, `greatest` is the
-- greatest write_id that was committed by its seq. As of that seq every greater one is unknown, and of the
-- smaller ones those few which committed later: writes that were overtaken. They are found by an index over
-- (write_id, seq), in which all points lie near a line.
ALTER TABLE bar_write ADD COLUMN greatest bigint;
UPDATE bar_write SET greatest = running.greatest
  FROM (SELECT write_id, max(write_id) OVER (ORDER BY seq) AS greatest FROM bar_write) AS running
 WHERE bar_write.write_id = running.write_id;
COMMENT ON COLUMN bar_write.greatest IS 'The greatest write_id that was committed by this seq.';
CREATE INDEX bar_write_overtaken ON bar_write USING gist (point(write_id, seq)) WHERE write_id < greatest;

-- By time: as of which seq. committed_at never goes back.
CREATE INDEX bar_write_committed_at ON bar_write (committed_at, seq);

ALTER TABLE bar_log_head ADD COLUMN greatest bigint NOT NULL DEFAULT 0;
UPDATE bar_log_head SET greatest = coalesce((SELECT max(greatest) FROM bar_write), 0);

CREATE OR REPLACE FUNCTION bar_write_take_seq() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    taken_seq      bigint;
    taken_at       timestamptz;
    taken_greatest bigint;
BEGIN
    UPDATE bar_log_head AS head
       SET seq = head.seq + 1, committed_at = greatest(clock_timestamp(), head.committed_at),
           greatest = greatest(head.greatest, NEW.write_id)
     WHERE head.log_id = 1
    RETURNING head.seq, head.committed_at, head.greatest
         INTO STRICT taken_seq, taken_at, taken_greatest;
    UPDATE bar_write SET seq = taken_seq, committed_at = taken_at, greatest = taken_greatest
     WHERE write_id = NEW.write_id;
    RETURN NULL;
END
$$;

-- A version of a bar that another write replaced or deleted.
CREATE TABLE bar_revision (
    timeframe     text NOT NULL CHECK (timeframe IN ('1m', '1h', '1d')),
    symbol        text COLLATE "C" NOT NULL,
    time          timestamptz NOT NULL,
    open          double precision NOT NULL,
    high          double precision NOT NULL,
    low           double precision NOT NULL,
    close         double precision NOT NULL,
    volume        double precision NOT NULL,
    vwap          double precision NOT NULL,
    trade_count   bigint NOT NULL,
    feed          smallint NOT NULL,
    flags         smallint NOT NULL,
    revision      integer NOT NULL,
    write_id      bigint NOT NULL,
    superseded_by bigint NOT NULL,
    PRIMARY KEY (timeframe, symbol, time, superseded_by)
);
COMMENT ON TABLE bar_revision IS 'Known from the seq of write_id to the seq of superseded_by.';
-- Old ones are trimmed.
CREATE INDEX bar_revision_superseded_by ON bar_revision (superseded_by);

-- What is there already was always known: the horizon, below, lies behind it.
ALTER TABLE market_symbol ADD COLUMN write_id bigint NOT NULL DEFAULT 0;
ALTER TABLE symbol_validity ADD COLUMN write_id bigint NOT NULL DEFAULT 0;
ALTER TABLE market_corporate_action ADD COLUMN write_id bigint NOT NULL DEFAULT 0;

CREATE TABLE market_symbol_revision (
    symbol_id        bigint NOT NULL,
    symbol           text COLLATE "C" NOT NULL,
    name             text NOT NULL,
    venue            text NOT NULL,
    asset_class      text NOT NULL,
    currency         text NOT NULL,
    calendar         text NOT NULL,
    time_zone        text NOT NULL,
    tick_size        double precision,
    status           text NOT NULL,
    ipo_date         date,
    provider_symbols jsonb NOT NULL,
    write_id         bigint NOT NULL,
    superseded_by    bigint NOT NULL,
    PRIMARY KEY (symbol_id, superseded_by)
);

CREATE TABLE symbol_validity_revision (
    symbol_id     bigint NOT NULL,
    symbol        text COLLATE "C" NOT NULL,
    valid_from    date,
    valid_to      date,
    write_id      bigint NOT NULL,
    superseded_by bigint NOT NULL
);
CREATE INDEX symbol_validity_revision_symbol ON symbol_validity_revision (symbol);
CREATE INDEX symbol_validity_revision_symbol_id ON symbol_validity_revision (symbol_id);

CREATE TABLE market_corporate_action_revision (
    symbol_id     bigint NOT NULL,
    kind          text NOT NULL,
    ex_date       date NOT NULL,
    split_ratio   double precision,
    cash_amount   double precision,
    currency      text NOT NULL,
    source        text NOT NULL,
    write_id      bigint NOT NULL,
    superseded_by bigint NOT NULL,
    PRIMARY KEY (symbol_id, kind, ex_date, superseded_by)
);

-- As of earlier seqs nobody can be answered: versions were not kept yet, or were trimmed.
CREATE TABLE version_horizon (
    log_id smallint PRIMARY KEY CHECK (log_id = 1),
    seq    bigint NOT NULL
);
INSERT INTO version_horizon SELECT log_id, seq FROM bar_log_head;

ALTER TABLE bar_storage ADD COLUMN dropped_by bigint;
COMMENT ON COLUMN bar_storage.dropped_by IS
    'The write that dropped last: as of what was known before it, what it dropped cannot be answered.';
