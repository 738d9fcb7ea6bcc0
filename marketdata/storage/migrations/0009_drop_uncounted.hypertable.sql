-- The oldest chunk is dropped without being counted: its rows are counted before, while nobody waits
-- (storage/partition_counts.py). Everything else about it is as it was.

DROP FUNCTION bar_partition_drop_oldest(bar_table);

-- Drops the oldest chunk that is older than what is kept, and answers what it was; no row where there is
-- none. It decides itself what that is: a caller cannot ask for more. The caller sets lock_timeout: the
-- lock on the chunk waits for its readers, and new readers wait behind it.
CREATE FUNCTION bar_partition_drop_oldest(which bar_table)
    RETURNS TABLE (range_start timestamptz, range_end timestamptz)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    hypertable regclass := format('public.market_stock_hist_bars_%s_ts', which);
    settings   public.bar_storage;
    part       record;
BEGIN
    SELECT * INTO STRICT settings FROM public.bar_storage AS kept WHERE kept.which = $1 FOR UPDATE;
    IF settings.keep_confirmed_at IS NULL THEN
        RAISE EXCEPTION 'retention of % bars is not confirmed', which
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT * INTO part FROM timescaledb_information.chunks AS oldest
     WHERE oldest.hypertable_schema = 'public'
       AND oldest.hypertable_name = format('market_stock_hist_bars_%s_ts', which)
       AND oldest.range_end <= now() - settings.keep
     ORDER BY oldest.range_start LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM public.bar_retention_record(which, part.range_end);
    PERFORM public.drop_chunks(hypertable, older_than => part.range_end);
    range_start := part.range_start;
    range_end := part.range_end;
    RETURN NEXT;
END
$$;
REVOKE EXECUTE ON FUNCTION bar_partition_drop_oldest(bar_table) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bar_partition_drop_oldest(bar_table) TO market_data_service_user;
