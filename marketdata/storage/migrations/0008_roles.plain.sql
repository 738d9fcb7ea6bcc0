-- Who may do what. The role that migrates owns everything here; the service's own role owns nothing and
-- reads and writes rows. The role itself belongs to the server, so it is made before (storage/roles.py).

DO $$
DECLARE
    relation record;
BEGIN
    FOR relation IN
        SELECT class.oid::regclass AS name,
               CASE WHEN class.relkind = 'S' THEN 'USAGE' ELSE 'SELECT, INSERT, UPDATE, DELETE' END AS rights,
               CASE WHEN class.relkind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
          FROM pg_class AS class JOIN pg_roles AS owner ON owner.oid = class.relowner
         WHERE class.relnamespace = 'public'::regnamespace AND class.relkind IN ('r', 'p', 'v', 'S')
           AND owner.rolname = current_user
           AND NOT EXISTS (SELECT FROM pg_depend AS member
                            WHERE member.classid = 'pg_class'::regclass AND member.objid = class.oid
                              AND member.deptype = 'e')
    LOOP
        EXECUTE format('GRANT %s ON %s %s TO market_data_service_user',
                       relation.rights, relation.kind, relation.name);
    END LOOP;
END
$$;
-- What was applied is the migrator's to say.
REVOKE INSERT, UPDATE, DELETE ON schema_migration FROM market_data_service_user;

-- The tables of later migrations.
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO market_data_service_user;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO market_data_service_user;

-- Tables are made and dropped by their owner only. These functions are run with the owner's rights, so what
-- they are given are a table of the enum and times, and every name in them has its schema.

CREATE OR REPLACE FUNCTION bar_partition_ensure(which bar_table, starts timestamptz[]) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    parent    text := format('market_stock_hist_bars_%s_ts', which);
    width     interval := public.bar_partition_interval(which);
    stretch   interval := CASE which WHEN 'min' THEN interval '1 day' WHEN 'hour' THEN interval '7 days'
                                     ELSE interval '30 days' END;
    -- The times that a bar may have: nobody makes a table for a year of which there is none.
    earliest  timestamptz := CASE which WHEN 'day' THEN '1900-01-01' ELSE '1990-01-01' END;
    latest    timestamptz := '2100-01-01';
    start     timestamptz;
    part_from timestamptz;
    part_to   timestamptz;
    child     text;
    lowers    timestamptz[];
    uppers    timestamptz[];
    made      integer := 0;
BEGIN
    IF which IS NULL OR starts IS NULL OR cardinality(starts) > 1000 THEN
        RAISE EXCEPTION 'a call is about one table, and at most 1000 starts; this one has % of %',
            coalesce(cardinality(starts), 0), which USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- One maker a table at a time: two would both find the partition missing.
    PERFORM pg_advisory_xact_lock(hashtext('bar_partition_ensure'), hashtext(parent));
    -- Not from bar_partitions: sizes, and expressions that are said to be a relation's, wait for whoever
    -- has that relation locked.
    SELECT array_agg(bound[1]::timestamptz), array_agg(bound[2]::timestamptz) INTO lowers, uppers
      FROM pg_inherits AS link JOIN pg_class AS part ON part.oid = link.inhrelid
     CROSS JOIN LATERAL regexp_match(pg_get_expr(part.relpartbound, 0),
                                     $re$FROM \('([^']*)'\) TO \('([^']*)'\)$re$) AS bound
     WHERE link.inhparent = format('public.%I', parent)::regclass;
    FOREACH start IN ARRAY starts LOOP
        -- The first of all stretches begins before the earliest time.
        IF start IS NULL OR start <= earliest - stretch OR start >= latest THEN
            RAISE EXCEPTION 'bars of % lie from % to %: there is no partition at %',
                parent, earliest, latest, start USING ERRCODE = 'invalid_parameter_value';
        END IF;
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
            EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING ALL)', child, parent);
            -- The check spares ATTACH its scan; it says the same as the partition's bound.
            EXECUTE format('ALTER TABLE public.%I ADD CONSTRAINT bound CHECK (time >= %L AND time < %L)',
                           child, part_from, part_to);
            EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                           parent, child, part_from, part_to);
            EXECUTE format('ALTER TABLE public.%I DROP CONSTRAINT bound', child);
            lowers := lowers || part_from;
            uppers := uppers || part_to;
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;
-- It decides itself which partition goes, from what an operator confirmed.
ALTER FUNCTION bar_partition_drop_oldest(bar_table) SECURITY DEFINER;

REVOKE EXECUTE ON FUNCTION bar_partition_ensure(bar_table, timestamptz[]) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION bar_partition_drop_oldest(bar_table) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bar_partition_ensure(bar_table, timestamptz[]) TO market_data_service_user;
GRANT EXECUTE ON FUNCTION bar_partition_drop_oldest(bar_table) TO market_data_service_user;

-- What the latter calls changes rows that the service may change as well: it keeps its caller's rights.
REVOKE EXECUTE ON FUNCTION bar_retention_record(bar_table, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bar_retention_record(bar_table, timestamptz) TO market_data_service_user;
