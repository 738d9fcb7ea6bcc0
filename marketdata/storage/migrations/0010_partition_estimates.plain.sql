-- Rows of a partition as the planner estimates them: what a page held when it was analyzed, times the pages of
-- today. One that was never analyzed has pages of bars of 120 bytes, each with its header.

CREATE OR REPLACE FUNCTION bar_partitions(which bar_table)
    RETURNS TABLE (name text, range_start timestamptz, range_end timestamptz, is_compressed boolean,
                   size_bytes bigint, rows_estimate bigint)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
    SELECT child.relname::text, bound[1]::timestamptz, bound[2]::timestamptz, false,
           pg_total_relation_size(child.oid),
           CASE WHEN child.reltuples > 0 AND child.relpages > 0
                THEN child.reltuples / child.relpages
                     * (pg_relation_size(child.oid) / current_setting('block_size')::integer)
                ELSE pg_relation_size(child.oid) / 120 END::bigint
      FROM pg_inherits AS link JOIN pg_class AS child ON child.oid = link.inhrelid
     CROSS JOIN LATERAL regexp_match(pg_get_expr(child.relpartbound, child.oid),
                                     $re$FROM \('([^']*)'\) TO \('([^']*)'\)$re$) AS bound
     WHERE link.inhparent = format('public.market_stock_hist_bars_%s_ts', which)::regclass
     ORDER BY 2
$$;
