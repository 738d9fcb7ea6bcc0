-- Since when a ticker has bars of a timeframe: reads then look through no partition before. No bar is
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
