-- The bar tables of the plain mode: native range partitions of the same intervals as the hypertable
-- chunks of the other modes. No foreign keys: they cost a row trigger and a row lock a bar.

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
) PARTITION BY RANGE (time);

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
) PARTITION BY RANGE (time);

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
) PARTITION BY RANGE (time);

CREATE TYPE bar_table AS ENUM ('min', 'hour', 'day');

CREATE FUNCTION bar_partition_interval(which bar_table) RETURNS interval
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE which
        WHEN 'min' THEN interval '1 day'
        WHEN 'hour' THEN interval '7 days'
        WHEN 'day' THEN interval '30 days'
    END;

-- Makes the partitions whose start times are given, where they are missing, and says how many it made.
-- Each is created as a table of its own and then attached: ATTACH takes a lock on the parent that writers
-- and readers do not wait for, where CREATE TABLE ... PARTITION OF would stop them all.
CREATE FUNCTION bar_partition_ensure(which bar_table, starts timestamptz[]) RETURNS integer
    LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    parent text := format('market_stock_hist_bars_%s_ts', which);
    width  interval := bar_partition_interval(which);
    start  timestamptz;
    child  text;
    made   integer := 0;
BEGIN
    -- One maker a table at a time: two would both find the partition missing.
    PERFORM pg_advisory_xact_lock(hashtext('bar_partition_ensure'), hashtext(parent));
    FOREACH start IN ARRAY starts LOOP
        IF date_bin(width, start, timestamptz 'epoch') <> start THEN
            RAISE EXCEPTION 'not the start of a partition of %: %', parent, start
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        child := format('%s_p%s', parent, to_char(start, 'YYYYMMDD'));
        CONTINUE WHEN to_regclass(format('%I', child)) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', child, parent);
        -- The check spares ATTACH its scan; it says the same as the partition's bound.
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT bound CHECK (time >= %L AND time < %L)',
                       child, start, start + width);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       parent, child, start, start + width);
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT bound', child);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;
