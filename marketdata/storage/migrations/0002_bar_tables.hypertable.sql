-- The bar tables of the TimescaleDB modes: hypertables, whose chunks are of the same intervals as the
-- partitions of the plain mode. No foreign keys: they cost a row trigger and a row lock a bar. No index on
-- time alone: every query names its symbols.

CREATE TABLE market_stock_hist_bars_min_ts (
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
    write_id    bigint NOT NULL,
    PRIMARY KEY (symbol, time)
);
SELECT create_hypertable('market_stock_hist_bars_min_ts', by_range('time', interval '1 day'),
                         create_default_indexes => false);

CREATE TABLE market_stock_hist_bars_hour_ts (
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
    write_id    bigint NOT NULL,
    PRIMARY KEY (symbol, time)
);
SELECT create_hypertable('market_stock_hist_bars_hour_ts', by_range('time', interval '7 days'),
                         create_default_indexes => false);

CREATE TABLE market_stock_hist_bars_day_ts (
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
    write_id    bigint NOT NULL,
    PRIMARY KEY (symbol, time)
);
SELECT create_hypertable('market_stock_hist_bars_day_ts', by_range('time', interval '30 days'),
                         create_default_indexes => false);

CREATE TYPE bar_table AS ENUM ('min', 'hour', 'day');

CREATE FUNCTION bar_partition_interval(which bar_table) RETURNS interval
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE which
        WHEN 'min' THEN interval '1 day'
        WHEN 'hour' THEN interval '7 days'
        WHEN 'day' THEN interval '30 days'
    END;

-- TimescaleDB makes chunks with their first bar: there is nothing to do before.
CREATE FUNCTION bar_partition_ensure(which bar_table, starts timestamptz[]) RETURNS integer
    LANGUAGE sql IMMUTABLE
    RETURN 0;
