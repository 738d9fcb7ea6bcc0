-- Hour and day bars made from minutes, kept ready. Providers' own bars stand apart, and win on read.
-- The same in all storage modes. They are few beside the minutes: one table each, without partitions.

CREATE TABLE bar_rollup_hour (
    symbol      text COLLATE "C" NOT NULL,
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
    PRIMARY KEY (symbol, time)
);
COMMENT ON TABLE bar_rollup_hour IS 'Of regular and extended hours, each anchored at its session.';

CREATE TABLE bar_rollup_day (LIKE bar_rollup_hour INCLUDING ALL);
COMMENT ON TABLE bar_rollup_day IS 'Of regular sessions.';

-- Every writer of minutes notes here whose roll-ups no longer fit, in its own transaction. So a bar
-- whose minutes lie in days that are not noted is in the roll-ups as the minutes make it.
CREATE TABLE rollup_dirty (
    symbol text COLLATE "C" NOT NULL,
    day    date NOT NULL,
    PRIMARY KEY (symbol, day)
);
COMMENT ON TABLE rollup_dirty IS 'Tickers and UTC days of minutes that changed since they were rolled up.';
-- The oldest are rolled up first.
CREATE INDEX rollup_dirty_day ON rollup_dirty (day, symbol);

-- The first UTC day whose minutes can all be there: what is older is never made anew.
CREATE FUNCTION rollup_first_day() RETURNS date
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (SELECT coalesce((dropped_before AT TIME ZONE 'UTC')::date, '-infinity')
              FROM bar_storage WHERE which = 'min');

INSERT INTO rollup_dirty
SELECT DISTINCT symbol, (time AT TIME ZONE 'UTC')::date FROM market_stock_hist_bars_min_ts
 WHERE (time AT TIME ZONE 'UTC')::date >= rollup_first_day();
