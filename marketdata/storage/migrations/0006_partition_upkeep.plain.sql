-- Partitions of the plain mode: of any interval beside each other, listed, and the oldest one dropped.

-- The bounds are read from the catalogue, since the interval can have been another one at their time.
CREATE FUNCTION bar_partitions(which bar_table)
    RETURNS TABLE (name text, range_start timestamptz, range_end timestamptz, is_compressed boolean,
                   size_bytes bigint, rows_estimate bigint)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
    SELECT child.relname::text, bound[1]::timestamptz, bound[2]::timestamptz, false,
           pg_total_relation_size(child.oid),
           CASE WHEN child.reltuples < 0 THEN pg_relation_size(child.oid) / 120
                ELSE child.reltuples END::bigint
      FROM pg_inherits AS link JOIN pg_class AS child ON child.oid = link.inhrelid
     CROSS JOIN LATERAL regexp_match(pg_get_expr(child.relpartbound, child.oid),
                                     $re$FROM \('([^']*)'\) TO \('([^']*)'\)$re$) AS bound
     WHERE link.inhparent = format('public.market_stock_hist_bars_%s_ts', which)::regclass
     ORDER BY 2
$$;

-- Makes partitions so that the stretches which begin at the given times are covered, each as long as a
-- partition was when the table was new, and says how many it made. Beside partitions of another interval a
-- new one is cut to the room between them.
CREATE OR REPLACE FUNCTION bar_partition_ensure(which bar_table, starts timestamptz[]) RETURNS integer
    LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    parent    text := format('market_stock_hist_bars_%s_ts', which);
    width     interval := bar_partition_interval(which);
    stretch   interval := CASE which WHEN 'min' THEN interval '1 day' WHEN 'hour' THEN interval '7 days'
                                     ELSE interval '30 days' END;
    start     timestamptz;
    part_from timestamptz;
    part_to   timestamptz;
    child     text;
    lowers    timestamptz[];
    uppers    timestamptz[];
    made      integer := 0;
BEGIN
    -- One maker a table at a time: two would both find the partition missing.
    PERFORM pg_advisory_xact_lock(hashtext('bar_partition_ensure'), hashtext(parent));
    SELECT array_agg(range_start), array_agg(range_end) INTO lowers, uppers FROM bar_partitions(which);
    FOREACH start IN ARRAY starts LOOP
        IF date_bin(stretch, start, timestamptz 'epoch') <> start THEN
            RAISE EXCEPTION 'not the start of a partition of %: %', parent, start
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        part_to := start;
        WHILE part_to < start + stretch LOOP
            part_from := part_to;
            part_to := (SELECT upper FROM unnest(lowers, uppers) AS part (lower, upper)
                         WHERE lower <= part_from AND upper > part_from);
            CONTINUE WHEN part_to IS NOT NULL;
            part_to := date_bin(width, part_from, timestamptz 'epoch') + width;
            part_from := greatest(date_bin(width, part_from, timestamptz 'epoch'),
                (SELECT max(upper) FROM unnest(uppers) AS upper WHERE upper <= part_from));
            part_to := least(part_to,
                (SELECT min(lower) FROM unnest(lowers) AS lower WHERE lower > part_from));
            child := format('%s_p%s', parent, to_char(part_from, 'YYYYMMDD'));
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', child, parent);
            -- The check spares ATTACH its scan; it says the same as the partition's bound.
            EXECUTE format('ALTER TABLE %I ADD CONSTRAINT bound CHECK (time >= %L AND time < %L)',
                           child, part_from, part_to);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                           parent, child, part_from, part_to);
            EXECUTE format('ALTER TABLE %I DROP CONSTRAINT bound', child);
            lowers := lowers || part_from;
            uppers := uppers || part_to;
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;

-- Drops the oldest partition that is older than what is kept, and answers what it was; no row where there
-- is none. It decides itself what that is: a caller cannot ask for more. The caller sets lock_timeout: the
-- lock on the table waits for its readers, and new readers wait behind it.
CREATE FUNCTION bar_partition_drop_oldest(which bar_table)
    RETURNS TABLE (range_start timestamptz, range_end timestamptz, dropped_rows bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    settings public.bar_storage;
    part     record;
BEGIN
    SELECT * INTO STRICT settings FROM public.bar_storage AS kept WHERE kept.which = $1 FOR UPDATE;
    IF settings.keep_confirmed_at IS NULL THEN
        RAISE EXCEPTION 'retention of % bars is not confirmed', which
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT * INTO part FROM public.bar_partitions(which) AS oldest
     WHERE oldest.range_end <= now() - settings.keep ORDER BY oldest.range_start LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM public.bar_retention_record(which, part.range_end);
    EXECUTE format('SELECT count(*) FROM public.%I', part.name) INTO dropped_rows;
    EXECUTE format('DROP TABLE public.%I', part.name);
    range_start := part.range_start;
    range_end := part.range_end;
    RETURN NEXT;
END
$$;
