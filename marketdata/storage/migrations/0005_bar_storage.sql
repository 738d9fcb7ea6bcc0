-- What is stored since when, how each bar table is kept, and for how long. The same in all storage modes.

-- Since when a ticker has bars of a timeframe: reads look through no partition before. No bar is
-- earlier; after a deletion the first one may be later.

ALTER TABLE bar_latest ADD COLUMN first_time timestamptz;

UPDATE bar_latest SET first_time = found.first_time
  FROM (SELECT symbol, min(time) AS first_time FROM market_stock_hist_bars_min_ts GROUP BY symbol) AS found
 WHERE bar_latest.timeframe = '1m' AND bar_latest.symbol = found.symbol;
UPDATE bar_latest SET first_time = found.first_time
  FROM (SELECT symbol, min(time) AS first_time FROM market_stock_hist_bars_hour_ts GROUP BY symbol) AS found
 WHERE bar_latest.timeframe = '1h' AND bar_latest.symbol = found.symbol;
UPDATE bar_latest SET first_time = found.first_time
  FROM (SELECT symbol, min(time) AS first_time FROM market_stock_hist_bars_day_ts GROUP BY symbol) AS found
 WHERE bar_latest.timeframe = '1d' AND bar_latest.symbol = found.symbol;
UPDATE bar_latest SET first_time = time WHERE first_time IS NULL;

ALTER TABLE bar_latest ALTER COLUMN first_time SET NOT NULL, ADD CHECK (first_time <= time);
COMMENT ON COLUMN bar_latest.first_time IS 'No bar of this ticker and timeframe is earlier.';

-- Bars of a change are compressed by nobody in time: at 500 kB it would take longer than storing them.
ALTER TABLE bar_change ALTER COLUMN bars SET STORAGE EXTERNAL;

-- How each bar table is kept: rows that a command changes on a live system.

CREATE TABLE bar_storage (
    which              bar_table PRIMARY KEY,
    partition_interval interval NOT NULL,
    compress_after     interval NOT NULL CHECK (compress_after >= interval '1 day'),
    keep               interval NOT NULL,
    keep_confirmed_at  timestamptz,
    dropped_before     timestamptz,
    -- Partitions begin at midnight UTC; thousands of them, or one for everything, help nobody.
    CHECK (partition_interval >= interval '1 day' AND partition_interval <= interval '366 days'
           AND extract(epoch FROM partition_interval)::bigint % 86400 = 0),
    -- The floor of retention: below it a slip of the keyboard would delete what is in use.
    CONSTRAINT bar_storage_keep_floor CHECK (keep >= CASE which
        WHEN 'min' THEN interval '7 days'
        WHEN 'hour' THEN interval '90 days'
        WHEN 'day' THEN interval '365 days' END)
);
COMMENT ON COLUMN bar_storage.compress_after IS 'Age of a chunk that is compressed; only where there is a columnstore.';
COMMENT ON COLUMN bar_storage.keep_confirmed_at IS
    'When an operator confirmed that older bars are to be dropped; null: nothing is ever dropped.';
COMMENT ON COLUMN bar_storage.dropped_before IS 'What is older was dropped; null: nothing was.';

INSERT INTO bar_storage (which, partition_interval, compress_after, keep) VALUES
    ('min', '1 day', '1 day', '6 months'),
    ('hour', '7 days', '7 days', '2 years'),
    ('day', '30 days', '30 days', '10 years');

CREATE OR REPLACE FUNCTION bar_partition_interval(which bar_table) RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (SELECT partition_interval FROM bar_storage AS kept WHERE kept.which = bar_partition_interval.which);

-- Notes that everything before a time is about to be dropped: what is told of the bars' bounds follows.
CREATE FUNCTION bar_retention_record(which bar_table, until timestamptz) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    label text := CASE which WHEN 'min' THEN '1m' WHEN 'hour' THEN '1h' ELSE '1d' END;
BEGIN
    UPDATE public.bar_storage AS kept SET dropped_before = greatest(kept.dropped_before, until)
     WHERE kept.which = $1;
    DELETE FROM public.bar_latest WHERE timeframe = label AND time < until;
    UPDATE public.bar_latest SET first_time = until WHERE timeframe = label AND first_time < until;
END
$$;
