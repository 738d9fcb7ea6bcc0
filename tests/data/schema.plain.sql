--
-- PostgreSQL database dump
--

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: btree_gist; Type: EXTENSION; Schema: -; Owner: -
--

CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA public;

--
-- Name: EXTENSION btree_gist; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON EXTENSION btree_gist IS 'support for indexing common datatypes in GiST';

--
-- Name: fuzzystrmatch; Type: EXTENSION; Schema: -; Owner: -
--

CREATE EXTENSION IF NOT EXISTS fuzzystrmatch WITH SCHEMA public;

--
-- Name: EXTENSION fuzzystrmatch; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON EXTENSION fuzzystrmatch IS 'determine similarities and distance between strings';

--
-- Name: pg_trgm; Type: EXTENSION; Schema: -; Owner: -
--

CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;

--
-- Name: EXTENSION pg_trgm; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON EXTENSION pg_trgm IS 'text similarity measurement and index searching based on trigrams';

--
-- Name: bar_table; Type: TYPE; Schema: public; Owner: -
--

CREATE TYPE public.bar_table AS ENUM (
    'min',
    'hour',
    'day'
);

--
-- Name: bar_partition_drop_oldest(public.bar_table); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.bar_partition_drop_oldest(which public.bar_table) RETURNS TABLE(range_start timestamp with time zone, range_end timestamp with time zone)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $_$
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
    EXECUTE format('DROP TABLE public.%I', part.name);
    range_start := part.range_start;
    range_end := part.range_end;
    RETURN NEXT;
END
$_$;

--
-- Name: bar_partition_ensure(public.bar_table, timestamp with time zone[]); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.bar_partition_ensure(which public.bar_table, starts timestamp with time zone[]) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $_$
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
$_$;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: bar_storage; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.bar_storage (
    which public.bar_table NOT NULL,
    partition_interval interval NOT NULL,
    compress_after interval NOT NULL,
    keep interval NOT NULL,
    keep_confirmed_at timestamp with time zone,
    dropped_before timestamp with time zone,
    dropped_by bigint,
    CONSTRAINT bar_storage_compress_after_check CHECK ((compress_after >= '1 day'::interval)),
    CONSTRAINT bar_storage_keep_floor CHECK ((keep >=
CASE which
    WHEN 'min'::public.bar_table THEN '7 days'::interval
    WHEN 'hour'::public.bar_table THEN '90 days'::interval
    WHEN 'day'::public.bar_table THEN '365 days'::interval
    ELSE NULL::interval
END)),
    CONSTRAINT bar_storage_partition_interval_check CHECK (((partition_interval >= '1 day'::interval) AND (partition_interval <= '366 days'::interval) AND (((EXTRACT(epoch FROM partition_interval))::bigint % (86400)::bigint) = 0)))
);

--
-- Name: COLUMN bar_storage.compress_after; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.bar_storage.compress_after IS 'Age of a chunk that is compressed; only where there is a columnstore.';

--
-- Name: COLUMN bar_storage.keep_confirmed_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.bar_storage.keep_confirmed_at IS 'When an operator confirmed that older bars are to be dropped; null: nothing is ever dropped.';

--
-- Name: COLUMN bar_storage.dropped_before; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.bar_storage.dropped_before IS 'What is older was dropped; null: nothing was.';

--
-- Name: COLUMN bar_storage.dropped_by; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.bar_storage.dropped_by IS 'The write that dropped last: as of what was known before it, what it dropped cannot be answered.';

--
-- Name: bar_partition_interval(public.bar_table); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.bar_partition_interval(which public.bar_table) RETURNS interval
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (SELECT kept.partition_interval FROM public.bar_storage kept WHERE (kept.which = bar_partition_interval.which));

--
-- Name: bar_partitions(public.bar_table); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.bar_partitions(which public.bar_table) RETURNS TABLE(name text, range_start timestamp with time zone, range_end timestamp with time zone, is_compressed boolean, size_bytes bigint, rows_estimate bigint)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $_$
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
$_$;

--
-- Name: bar_retention_record(public.bar_table, timestamp with time zone); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.bar_retention_record(which public.bar_table, until timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    label text := CASE which WHEN 'min' THEN '1m' WHEN 'hour' THEN '1h' ELSE '1d' END;
BEGIN
    UPDATE public.bar_storage AS kept SET dropped_before = greatest(kept.dropped_before, until)
     WHERE kept.which = $1;
    DELETE FROM public.bar_latest WHERE timeframe = label AND time < until;
    UPDATE public.bar_latest SET first_time = until WHERE timeframe = label AND first_time < until;
END
$_$;

--
-- Name: bar_write_take_seq(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.bar_write_take_seq() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

--
-- Name: rollup_first_day(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.rollup_first_day() RETURNS date
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (SELECT COALESCE(((bar_storage.dropped_before AT TIME ZONE 'UTC'::text))::date, '-infinity'::date) AS "coalesce" FROM public.bar_storage WHERE (bar_storage.which = 'min'::public.bar_table));

--
-- Name: symbol_fold(text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.symbol_fold(entered text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN btrim(regexp_replace(lower(regexp_replace(NORMALIZE(entered, NFKD), '[\u0300-\u036f]'::text, ''::text, 'g'::text)), '\s+'::text, ' '::text, 'g'::text));

--
-- Name: symbol_likeness(text, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.symbol_likeness(one text, other text) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (one = other) THEN 1.0 WHEN ((abs((length(one) - length(other))) > 1) OR (LEAST(length(one), length(other)) < 2) OR (GREATEST(length(one), length(other)) > 100)) THEN 0.0 WHEN (public.levenshtein_less_equal(one, other, 1) = 1) THEN (1.0 - (1.0 / (GREATEST(length(one), length(other)))::numeric)) WHEN ((length(one) = length(other)) AND (public.levenshtein_less_equal(one, other, 2) = 2) AND (((one || ' '::text) || other) ~ '^(.*)(.)(.)(.*) \1\3\2\4$'::text)) THEN (1.0 - (0.75 / (length(one))::numeric)) ELSE 0.0 END;

--
-- Name: symbol_search_keys(text[]); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.symbol_search_keys(words text[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT COST 5000 PARALLEL SAFE
    BEGIN ATOMIC
 SELECT COALESCE(array_agg(DISTINCT ("left"(word.word, (place.place - 1)) || substr(word.word, (place.place + 1)))), '{}'::text[]) AS "coalesce"
    FROM (unnest(symbol_search_keys.words) word(word)
      CROSS JOIN LATERAL generate_series(1, (length(word.word) + 1)) place(place))
   WHERE (length(word.word) > 1);
END;

--
-- Name: symbol_search_name(text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.symbol_search_name(name text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    BEGIN ATOMIC
 SELECT COALESCE(NULLIF(btrim(regexp_replace(regexp_replace(plain.words, '\m(the|inc|incorporated|corp|corporation|co|company|ltd|limited|plc|llc|lp|sa|ag|se|nv|ab|spa|asa|oyj|class|common|ordinary|stock|shares?)\M'::text, ''::text, 'g'::text), ' +'::text, ' '::text, 'g'::text)), ''::text), plain.words) AS "coalesce"
    FROM ( SELECT btrim(regexp_replace(regexp_replace(regexp_replace(public.symbol_fold(symbol_search_name.name), '[''’&]'::text, ''::text, 'g'::text), '\m(\w)\.(?=\w\M)'::text, '\1'::text, 'g'::text), '[^[:alnum:]]+'::text, ' '::text, 'g'::text)) AS words) plain;
END;

--
-- Name: bar_change; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.bar_change (
    write_id bigint NOT NULL,
    part smallint NOT NULL,
    kind text NOT NULL,
    symbols text[] NOT NULL,
    timeframe text,
    range_start timestamp with time zone,
    range_end timestamp with time zone,
    accepted integer DEFAULT 0 NOT NULL,
    revised integer DEFAULT 0 NOT NULL,
    bars bytea,
    reason text DEFAULT ''::text NOT NULL,
    CONSTRAINT bar_change_kind_check CHECK ((kind = ANY (ARRAY['bars'::text, 'deleted'::text, 'retention'::text, 'action'::text, 'symbol'::text])))
);
ALTER TABLE ONLY public.bar_change ALTER COLUMN bars SET STORAGE EXTERNAL;

--
-- Name: COLUMN bar_change.bars; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.bar_change.bars IS 'The changed bars as rows of the COPY codec, with an index into symbols; null where there are too many.';

--
-- Name: bar_latest; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.bar_latest (
    symbol text NOT NULL COLLATE pg_catalog."C",
    timeframe text NOT NULL,
    "time" timestamp with time zone NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    vwap double precision NOT NULL,
    trade_count bigint NOT NULL,
    feed smallint NOT NULL,
    flags smallint NOT NULL,
    revision integer NOT NULL,
    write_id bigint NOT NULL,
    first_time timestamp with time zone NOT NULL,
    CONSTRAINT bar_latest_check CHECK ((first_time <= "time")),
    CONSTRAINT bar_latest_timeframe_check CHECK ((timeframe = ANY (ARRAY['1m'::text, '1h'::text, '1d'::text])))
);

--
-- Name: COLUMN bar_latest.first_time; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.bar_latest.first_time IS 'No bar of this ticker and timeframe is earlier.';

--
-- Name: bar_log; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.bar_log (
    log_id smallint NOT NULL,
    generation uuid DEFAULT gen_random_uuid() NOT NULL,
    oldest_seq bigint DEFAULT 1 NOT NULL,
    CONSTRAINT bar_log_log_id_check CHECK ((log_id = 1)),
    CONSTRAINT bar_log_oldest_seq_check CHECK ((oldest_seq >= 1))
);

--
-- Name: COLUMN bar_log.generation; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.bar_log.generation IS 'Of this history; another one after a restore of files, from which the log goes on with other entries.';

--
-- Name: COLUMN bar_log.oldest_seq; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.bar_log.oldest_seq IS 'Entries from here on are there, all of them; bar_write keeps the rows of those that were trimmed.';

--
-- Name: bar_log_head; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.bar_log_head (
    log_id smallint NOT NULL,
    seq bigint NOT NULL,
    committed_at timestamp with time zone NOT NULL,
    "greatest" bigint DEFAULT 0 NOT NULL,
    CONSTRAINT bar_log_head_log_id_check CHECK ((log_id = 1))
)
WITH (fillfactor='10');

--
-- Name: bar_quarantine; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.bar_quarantine (
    quarantine_id bigint NOT NULL,
    run_id bigint,
    provider text NOT NULL,
    feed text NOT NULL,
    symbol text NOT NULL COLLATE pg_catalog."C",
    timeframe text NOT NULL,
    "time" timestamp with time zone NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    vwap double precision NOT NULL,
    trade_count bigint NOT NULL,
    flags smallint NOT NULL,
    rules text[] NOT NULL,
    severity text NOT NULL,
    detail text NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    quarantined_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    decided_at timestamp with time zone,
    CONSTRAINT bar_quarantine_check CHECK (((decided_at IS NULL) = (state = 'open'::text))),
    CONSTRAINT bar_quarantine_severity_check CHECK ((severity = ANY (ARRAY['invalid'::text, 'reject'::text, 'flag'::text]))),
    CONSTRAINT bar_quarantine_state_check CHECK ((state = ANY (ARRAY['open'::text, 'released'::text, 'dropped'::text]))),
    CONSTRAINT bar_quarantine_timeframe_check CHECK ((timeframe = ANY (ARRAY['1m'::text, '1h'::text, '1d'::text])))
);

--
-- Name: TABLE bar_quarantine; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.bar_quarantine IS 'Bars as a provider gave them; severity flag: stored as well.';

--
-- Name: COLUMN bar_quarantine.run_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.bar_quarantine.run_id IS 'The run that found it first; NULL where none did.';

--
-- Name: COLUMN bar_quarantine.feed; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.bar_quarantine.feed IS 'Its name, provider/feed; market_feed may not have it any more.';

--
-- Name: COLUMN bar_quarantine."time"; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.bar_quarantine."time" IS 'Brought within the years that bars may have; detail has what it was.';

--
-- Name: COLUMN bar_quarantine.severity; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.bar_quarantine.severity IS 'Of the gravest of its rules.';

--
-- Name: bar_quarantine_quarantine_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.bar_quarantine ALTER COLUMN quarantine_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.bar_quarantine_quarantine_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: bar_revision; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.bar_revision (
    timeframe text NOT NULL,
    symbol text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    vwap double precision NOT NULL,
    trade_count bigint NOT NULL,
    feed smallint NOT NULL,
    flags smallint NOT NULL,
    revision integer NOT NULL,
    write_id bigint NOT NULL,
    superseded_by bigint NOT NULL,
    CONSTRAINT bar_revision_timeframe_check CHECK ((timeframe = ANY (ARRAY['1m'::text, '1h'::text, '1d'::text])))
);

--
-- Name: TABLE bar_revision; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.bar_revision IS 'Known from the seq of write_id to the seq of superseded_by.';

--
-- Name: bar_rollup_day; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.bar_rollup_day (
    symbol text CONSTRAINT bar_rollup_hour_symbol_not_null NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone CONSTRAINT bar_rollup_hour_time_not_null NOT NULL,
    open double precision CONSTRAINT bar_rollup_hour_open_not_null NOT NULL,
    high double precision CONSTRAINT bar_rollup_hour_high_not_null NOT NULL,
    low double precision CONSTRAINT bar_rollup_hour_low_not_null NOT NULL,
    close double precision CONSTRAINT bar_rollup_hour_close_not_null NOT NULL,
    volume double precision CONSTRAINT bar_rollup_hour_volume_not_null NOT NULL,
    vwap double precision CONSTRAINT bar_rollup_hour_vwap_not_null NOT NULL,
    trade_count bigint CONSTRAINT bar_rollup_hour_trade_count_not_null NOT NULL,
    feed smallint CONSTRAINT bar_rollup_hour_feed_not_null NOT NULL,
    flags smallint CONSTRAINT bar_rollup_hour_flags_not_null NOT NULL,
    revision integer CONSTRAINT bar_rollup_hour_revision_not_null NOT NULL
);

--
-- Name: TABLE bar_rollup_day; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.bar_rollup_day IS 'Of regular sessions.';

--
-- Name: bar_rollup_hour; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.bar_rollup_hour (
    symbol text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    vwap double precision NOT NULL,
    trade_count bigint NOT NULL,
    feed smallint NOT NULL,
    flags smallint NOT NULL,
    revision integer NOT NULL
);

--
-- Name: TABLE bar_rollup_hour; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.bar_rollup_hour IS 'Of regular and extended hours, each anchored at its session.';

--
-- Name: bar_write; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.bar_write (
    write_id bigint NOT NULL,
    seq bigint,
    committed_at timestamp with time zone,
    "greatest" bigint
);

--
-- Name: COLUMN bar_write."greatest"; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.bar_write."greatest" IS 'The greatest write_id that was committed by this seq.';

--
-- Name: bar_write_id; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.bar_write_id
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

--
-- Name: feed_lease; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.feed_lease (
    feed text NOT NULL,
    epoch bigint DEFAULT 1 NOT NULL,
    owner text NOT NULL,
    lease_until timestamp with time zone NOT NULL,
    complete_until timestamp with time zone,
    state text DEFAULT 'down'::text NOT NULL,
    problem text DEFAULT ''::text NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT feed_lease_state_check CHECK ((state = ANY (ARRAY['down'::text, 'catching_up'::text, 'live'::text])))
);

--
-- Name: COLUMN feed_lease.epoch; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.feed_lease.epoch IS 'One more with every process that takes the feed over: a write of an earlier one is refused.';

--
-- Name: COLUMN feed_lease.lease_until; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.feed_lease.lease_until IS 'Up to when its owner has it to itself, by this clock.';

--
-- Name: COLUMN feed_lease.complete_until; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.feed_lease.complete_until IS 'All bars of it that open before are stored; whoever follows it next begins there. NULL: none are.';

--
-- Name: COLUMN feed_lease.problem; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.feed_lease.problem IS 'Why it is down, for people.';

--
-- Name: ingestion_failed; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.ingestion_failed (
    provider text NOT NULL,
    symbol_id bigint NOT NULL,
    timeframe text NOT NULL,
    ranges tstzmultirange NOT NULL,
    error text NOT NULL,
    retry_at timestamp with time zone,
    run_id bigint NOT NULL,
    noted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT ingestion_failed_ranges_check CHECK ((NOT isempty(ranges))),
    CONSTRAINT ingestion_failed_timeframe_check CHECK ((timeframe = ANY (ARRAY['1m'::text, '1h'::text, '1d'::text])))
);

--
-- Name: TABLE ingestion_failed; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.ingestion_failed IS 'The time for which a provider was asked in vain, and that it did not give since.';

--
-- Name: COLUMN ingestion_failed.error; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.ingestion_failed.error IS 'Of the last time; so are retry_at and run_id.';

--
-- Name: COLUMN ingestion_failed.run_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.ingestion_failed.run_id IS 'It may be trimmed already: what failed stays true.';

--
-- Name: ingestion_fetched; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.ingestion_fetched (
    provider text NOT NULL,
    symbol_id bigint NOT NULL,
    timeframe text NOT NULL,
    ranges tstzmultirange NOT NULL,
    first_time timestamp with time zone,
    last_time timestamp with time zone,
    deleted tstzmultirange DEFAULT '{}'::tstzmultirange NOT NULL,
    CONSTRAINT ingestion_fetched_check CHECK ((((first_time IS NULL) = (last_time IS NULL)) AND (first_time <= last_time))),
    CONSTRAINT ingestion_fetched_timeframe_check CHECK ((timeframe = ANY (ARRAY['1m'::text, '1h'::text, '1d'::text])))
);

--
-- Name: COLUMN ingestion_fetched.ranges; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.ingestion_fetched.ranges IS 'The time of which the provider gave all that it has; where it had nothing, too.';

--
-- Name: COLUMN ingestion_fetched.first_time; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.ingestion_fetched.first_time IS 'Of the first bar that the provider ever gave; NULL: none.';

--
-- Name: COLUMN ingestion_fetched.last_time; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.ingestion_fetched.last_time IS 'Of the last bar that the provider ever gave.';

--
-- Name: COLUMN ingestion_fetched.deleted; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.ingestion_fetched.deleted IS 'Within which bars were deleted since they were fetched: that they are missing is not the provider''s word.';

--
-- Name: ingestion_run; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.ingestion_run (
    run_id bigint NOT NULL,
    request_id text NOT NULL,
    mode text NOT NULL,
    provider text NOT NULL,
    symbols text[] NOT NULL,
    timeframes text[] NOT NULL,
    range_start timestamp with time zone,
    range_end timestamp with time zone,
    refetches boolean NOT NULL,
    state text DEFAULT 'queued'::text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    cancel_requested_at timestamp with time zone,
    error text DEFAULT ''::text NOT NULL,
    fetched bigint DEFAULT 0 NOT NULL,
    accepted bigint DEFAULT 0 NOT NULL,
    revised bigint DEFAULT 0 NOT NULL,
    unchanged bigint DEFAULT 0 NOT NULL,
    outranked bigint DEFAULT 0 NOT NULL,
    quarantined bigint DEFAULT 0 NOT NULL,
    flagged bigint DEFAULT 0 NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    owner text DEFAULT ''::text NOT NULL,
    lease_until timestamp with time zone,
    waits jsonb DEFAULT '[]'::jsonb NOT NULL,
    CONSTRAINT ingestion_run_mode_check CHECK ((mode = ANY (ARRAY['batch'::text, 'backfill'::text, 'actions'::text, 'company'::text]))),
    CONSTRAINT ingestion_run_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'running'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text])))
);

--
-- Name: COLUMN ingestion_run.request_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.ingestion_run.request_id IS 'By which a caller can send the same request again safely.';

--
-- Name: COLUMN ingestion_run.fetched; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.ingestion_run.fetched IS 'Bars, or facts of symbols, that were fetched and accounted for; counts of it follow.';

--
-- Name: COLUMN ingestion_run.epoch; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.ingestion_run.epoch IS 'One more with every process that takes the run over: a write of an earlier one is refused.';

--
-- Name: COLUMN ingestion_run.lease_until; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.ingestion_run.lease_until IS 'Up to when its owner has it to itself, by this clock.';

--
-- Name: COLUMN ingestion_run.waits; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.ingestion_run.waits IS 'What its provider waits for at present.';

--
-- Name: ingestion_run_run_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.ingestion_run ALTER COLUMN run_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.ingestion_run_run_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: ingestion_target; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.ingestion_target (
    target_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    symbols text[] NOT NULL,
    symbol_count integer GENERATED ALWAYS AS (cardinality(symbols)) STORED NOT NULL,
    timeframes text[] NOT NULL,
    history_start date,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    providers text[] NOT NULL,
    CONSTRAINT ingestion_target_name_check CHECK ((name ~ '^[a-z0-9_-]{1,50}$'::text)),
    CONSTRAINT ingestion_target_providers_check CHECK (((cardinality(providers) >= 1) AND (cardinality(providers) <= 5))),
    CONSTRAINT ingestion_target_symbols_check CHECK ((cardinality(symbols) <= 5000)),
    CONSTRAINT ingestion_target_timeframes_check CHECK (((cardinality(timeframes) > 0) AND (timeframes <@ ARRAY['1m'::text, '1h'::text, '1d'::text])))
);

--
-- Name: COLUMN ingestion_target.symbols; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.ingestion_target.symbols IS 'Tickers as the operator named them; empty: all active symbols, also those of later.';

--
-- Name: COLUMN ingestion_target.symbol_count; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.ingestion_target.symbol_count IS 'So that a page is measured without reading its symbols.';

--
-- Name: COLUMN ingestion_target.history_start; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.ingestion_target.history_start IS 'NULL: no history but what a batch fetches.';

--
-- Name: COLUMN ingestion_target.providers; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.ingestion_target.providers IS 'Their names, in the order in which they are asked; they need not be ready yet.';

--
-- Name: ingestion_target_target_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.ingestion_target ALTER COLUMN target_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.ingestion_target_target_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: ingestion_task; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.ingestion_task (
    run_id bigint NOT NULL,
    task integer NOT NULL,
    symbol_id bigint NOT NULL,
    symbol text NOT NULL COLLATE pg_catalog."C",
    timeframe text,
    range_start timestamp with time zone NOT NULL,
    range_end timestamp with time zone NOT NULL,
    done_until timestamp with time zone NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    fetched bigint DEFAULT 0 NOT NULL,
    error text DEFAULT ''::text NOT NULL,
    retry_at timestamp with time zone,
    CONSTRAINT ingestion_task_state_check CHECK ((state = ANY (ARRAY['open'::text, 'done'::text, 'failed'::text]))),
    CONSTRAINT ingestion_task_timeframe_check CHECK ((timeframe = ANY (ARRAY['1m'::text, '1h'::text, '1d'::text])))
);

--
-- Name: TABLE ingestion_task; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.ingestion_task IS 'A part of a run: a range of bars of one symbol.';

--
-- Name: COLUMN ingestion_task.timeframe; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.ingestion_task.timeframe IS 'NULL where a task fetches no bars.';

--
-- Name: COLUMN ingestion_task.done_until; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.ingestion_task.done_until IS 'Every bar before it is committed: raised in the transaction that stores them.';

--
-- Name: COLUMN ingestion_task.error; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.ingestion_task.error IS 'Why it failed; of one that is open or done, what a person should know.';

--
-- Name: market_corporate_action; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.market_corporate_action (
    action_id bigint NOT NULL,
    symbol_id bigint NOT NULL,
    kind text NOT NULL,
    ex_date date NOT NULL,
    split_ratio double precision,
    cash_amount double precision,
    currency text NOT NULL,
    source text NOT NULL,
    write_id bigint DEFAULT 0 NOT NULL,
    provider text DEFAULT ''::text NOT NULL,
    CONSTRAINT market_corporate_action_cash_amount_check CHECK (((cash_amount > (0)::double precision) AND (cash_amount < 'Infinity'::double precision))),
    CONSTRAINT market_corporate_action_check CHECK (((kind = 'split'::text) = (split_ratio IS NOT NULL))),
    CONSTRAINT market_corporate_action_check1 CHECK (((kind = 'cash_dividend'::text) = (cash_amount IS NOT NULL))),
    CONSTRAINT market_corporate_action_kind_check CHECK ((kind = ANY (ARRAY['split'::text, 'cash_dividend'::text]))),
    CONSTRAINT market_corporate_action_split_ratio_check CHECK (((split_ratio > (0)::double precision) AND (split_ratio < 'Infinity'::double precision)))
);

--
-- Name: COLUMN market_corporate_action.split_ratio; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.market_corporate_action.split_ratio IS 'New shares for one old share.';

--
-- Name: COLUMN market_corporate_action.cash_amount; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.market_corporate_action.cash_amount IS 'A share, as declared: not adjusted for later splits.';

--
-- Name: COLUMN market_corporate_action.provider; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.market_corporate_action.provider IS 'Who tells it, the highest-ranked of several; empty: a person. A lower-ranked one does not change it.';

--
-- Name: market_corporate_action_action_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.market_corporate_action ALTER COLUMN action_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.market_corporate_action_action_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: market_corporate_action_revision; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.market_corporate_action_revision (
    symbol_id bigint NOT NULL,
    kind text NOT NULL,
    ex_date date NOT NULL,
    split_ratio double precision,
    cash_amount double precision,
    currency text NOT NULL,
    source text NOT NULL,
    write_id bigint NOT NULL,
    superseded_by bigint NOT NULL
);

--
-- Name: market_feed; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.market_feed (
    feed_id smallint NOT NULL,
    provider text NOT NULL,
    feed text NOT NULL,
    rank smallint NOT NULL
);

--
-- Name: COLUMN market_feed.rank; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.market_feed.rank IS 'The greater outranks: a bar of a lower rank never replaces one of a higher rank.';

--
-- Name: market_feed_feed_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.market_feed ALTER COLUMN feed_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.market_feed_feed_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: market_stock; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.market_stock (
    symbol_id bigint NOT NULL,
    name text NOT NULL,
    sector text NOT NULL COLLATE pg_catalog."C",
    industry text NOT NULL,
    employees bigint,
    market_cap double precision,
    shares_outstanding double precision,
    currency text NOT NULL,
    ipo_date date,
    as_of date,
    source text NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    origins jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT market_stock_employees_check CHECK ((employees >= 0)),
    CONSTRAINT market_stock_market_cap_check CHECK (((market_cap > (0)::double precision) AND (market_cap < 'Infinity'::double precision))),
    CONSTRAINT market_stock_shares_outstanding_check CHECK (((shares_outstanding > (0)::double precision) AND (shares_outstanding < 'Infinity'::double precision)))
);

--
-- Name: TABLE market_stock; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.market_stock IS 'A row a company of which something is known; the rest is empty or NULL.';

--
-- Name: COLUMN market_stock.sector; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.market_stock.sector IS 'In the words of its source.';

--
-- Name: COLUMN market_stock.market_cap; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.market_stock.market_cap IS 'In currency.';

--
-- Name: COLUMN market_stock.as_of; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.market_stock.as_of IS 'The day for which employees, market_cap and shares_outstanding hold.';

--
-- Name: COLUMN market_stock.source; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.market_stock.source IS 'Who said the last change: a provider, or manual.';

--
-- Name: COLUMN market_stock.updated_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.market_stock.updated_at IS 'When that was stored, by the clock of the database.';

--
-- Name: COLUMN market_stock.origins; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.market_stock.origins IS 'Who told each known fact, and for which day: {"sector": ["yahoo", "2026-11-21"]}; as_of is not there.';

--
-- Name: market_stock_hist_bars_day_ts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.market_stock_hist_bars_day_ts (
    symbol text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    vwap double precision NOT NULL,
    trade_count bigint NOT NULL,
    feed smallint NOT NULL,
    flags smallint NOT NULL,
    revision integer NOT NULL,
    write_id bigint NOT NULL
)
PARTITION BY RANGE ("time");

--
-- Name: market_stock_hist_bars_hour_ts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.market_stock_hist_bars_hour_ts (
    symbol text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    vwap double precision NOT NULL,
    trade_count bigint NOT NULL,
    feed smallint NOT NULL,
    flags smallint NOT NULL,
    revision integer NOT NULL,
    write_id bigint NOT NULL
)
PARTITION BY RANGE ("time");

--
-- Name: market_stock_hist_bars_min_ts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.market_stock_hist_bars_min_ts (
    symbol text NOT NULL COLLATE pg_catalog."C",
    "time" timestamp with time zone NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    vwap double precision NOT NULL,
    trade_count bigint NOT NULL,
    feed smallint NOT NULL,
    flags smallint NOT NULL,
    revision integer NOT NULL,
    write_id bigint NOT NULL
)
PARTITION BY RANGE ("time");

--
-- Name: market_symbol; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.market_symbol (
    symbol_id bigint NOT NULL,
    symbol text NOT NULL COLLATE pg_catalog."C",
    name text DEFAULT ''::text NOT NULL,
    venue text NOT NULL,
    asset_class text NOT NULL,
    currency text NOT NULL,
    calendar text NOT NULL,
    time_zone text NOT NULL,
    tick_size double precision,
    status text NOT NULL,
    ipo_date date,
    provider_symbols jsonb DEFAULT '{}'::jsonb NOT NULL,
    search_name text GENERATED ALWAYS AS (public.symbol_search_name(name)) STORED NOT NULL,
    write_id bigint DEFAULT 0 NOT NULL,
    status_evidence jsonb,
    CONSTRAINT market_symbol_tick_size_check CHECK ((tick_size > (0)::double precision))
);

--
-- Name: TABLE market_symbol; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.market_symbol IS 'One row an identity; symbol is its latest ticker.';

--
-- Name: COLUMN market_symbol.search_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.market_symbol.search_name IS 'The words of the name by which it is searched.';

--
-- Name: COLUMN market_symbol.status_evidence; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.market_symbol.status_evidence IS '{"source", "day", "text", "noted_at"}; NULL: it has had this status since it was created.';

--
-- Name: market_symbol_revision; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.market_symbol_revision (
    symbol_id bigint NOT NULL,
    symbol text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    venue text NOT NULL,
    asset_class text NOT NULL,
    currency text NOT NULL,
    calendar text NOT NULL,
    time_zone text NOT NULL,
    tick_size double precision,
    status text NOT NULL,
    ipo_date date,
    provider_symbols jsonb NOT NULL,
    write_id bigint NOT NULL,
    superseded_by bigint NOT NULL,
    status_evidence jsonb
);

--
-- Name: market_symbol_symbol_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.market_symbol ALTER COLUMN symbol_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.market_symbol_symbol_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: provider_quota; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.provider_quota (
    provider text NOT NULL,
    key_id text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL,
    calls integer NOT NULL,
    CONSTRAINT provider_quota_calls_check CHECK ((calls > 0))
);

--
-- Name: COLUMN provider_quota.key_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.provider_quota.key_id IS 'Stands for the key without telling it: a hash.';

--
-- Name: COLUMN provider_quota.day; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.provider_quota.day IS 'By the clock of the provider''s own day.';

--
-- Name: COLUMN provider_quota.calls; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.provider_quota.calls IS 'Granted so far; a call that was then not made is lost.';

--
-- Name: reference_fetched; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.reference_fetched (
    provider text NOT NULL,
    symbol_id bigint NOT NULL,
    kind text NOT NULL,
    fetched_on date NOT NULL,
    CONSTRAINT reference_fetched_kind_check CHECK ((kind = ANY (ARRAY['actions'::text, 'company'::text])))
);

--
-- Name: COLUMN reference_fetched.fetched_on; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.reference_fetched.fetched_on IS 'The day on which the provider has told everything: of actions it is asked about a trailing window from then on.';

--
-- Name: rollup_dirty; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.rollup_dirty (
    symbol text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL
);

--
-- Name: TABLE rollup_dirty; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.rollup_dirty IS 'Tickers and UTC days of minutes that changed since they were rolled up.';

--
-- Name: schema_migration; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.schema_migration (
    number integer NOT NULL,
    title text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

--
-- Name: symbol_validity; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.symbol_validity (
    symbol_id bigint NOT NULL,
    symbol text NOT NULL COLLATE pg_catalog."C",
    valid_from date,
    valid_to date,
    write_id bigint DEFAULT 0 NOT NULL,
    CONSTRAINT symbol_validity_check CHECK ((valid_from < valid_to))
);

--
-- Name: TABLE symbol_validity; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.symbol_validity IS 'Session dates [valid_from, valid_to) during which symbol named symbol_id; null is unbounded.';

--
-- Name: symbol_validity_revision; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.symbol_validity_revision (
    symbol_id bigint NOT NULL,
    symbol text NOT NULL COLLATE pg_catalog."C",
    valid_from date,
    valid_to date,
    write_id bigint NOT NULL,
    superseded_by bigint NOT NULL
);

--
-- Name: token_key; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.token_key (
    token_key_id smallint NOT NULL,
    key bytea NOT NULL,
    CONSTRAINT token_key_key_check CHECK ((octet_length(key) = 32)),
    CONSTRAINT token_key_token_key_id_check CHECK ((token_key_id = 1))
);

--
-- Name: COLUMN token_key.key; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.token_key.key IS 'Two random uuids: 244 bits from the server''s strong source.';

--
-- Name: version_horizon; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.version_horizon (
    log_id smallint NOT NULL,
    seq bigint NOT NULL,
    CONSTRAINT version_horizon_log_id_check CHECK ((log_id = 1))
);

--
-- Name: bar_change bar_change_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.bar_change
    ADD CONSTRAINT bar_change_pkey PRIMARY KEY (write_id, part);

--
-- Name: bar_latest bar_latest_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.bar_latest
    ADD CONSTRAINT bar_latest_pkey PRIMARY KEY (symbol, timeframe);

--
-- Name: bar_log_head bar_log_head_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.bar_log_head
    ADD CONSTRAINT bar_log_head_pkey PRIMARY KEY (log_id);

--
-- Name: bar_log bar_log_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.bar_log
    ADD CONSTRAINT bar_log_pkey PRIMARY KEY (log_id);

--
-- Name: bar_quarantine bar_quarantine_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.bar_quarantine
    ADD CONSTRAINT bar_quarantine_pkey PRIMARY KEY (quarantine_id);

--
-- Name: bar_quarantine bar_quarantine_symbol_timeframe_time_feed_open_high_low_clo_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.bar_quarantine
    ADD CONSTRAINT bar_quarantine_symbol_timeframe_time_feed_open_high_low_clo_key UNIQUE (symbol, timeframe, "time", feed, open, high, low, close, volume, vwap, trade_count);

--
-- Name: bar_revision bar_revision_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.bar_revision
    ADD CONSTRAINT bar_revision_pkey PRIMARY KEY (timeframe, symbol, "time", superseded_by);

--
-- Name: bar_rollup_day bar_rollup_day_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.bar_rollup_day
    ADD CONSTRAINT bar_rollup_day_pkey PRIMARY KEY (symbol, "time");

--
-- Name: bar_rollup_hour bar_rollup_hour_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.bar_rollup_hour
    ADD CONSTRAINT bar_rollup_hour_pkey PRIMARY KEY (symbol, "time");

--
-- Name: bar_storage bar_storage_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.bar_storage
    ADD CONSTRAINT bar_storage_pkey PRIMARY KEY (which);

--
-- Name: bar_write bar_write_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.bar_write
    ADD CONSTRAINT bar_write_pkey PRIMARY KEY (write_id);

--
-- Name: bar_write bar_write_seq_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.bar_write
    ADD CONSTRAINT bar_write_seq_key UNIQUE (seq);

--
-- Name: feed_lease feed_lease_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.feed_lease
    ADD CONSTRAINT feed_lease_pkey PRIMARY KEY (feed);

--
-- Name: ingestion_failed ingestion_failed_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ingestion_failed
    ADD CONSTRAINT ingestion_failed_pkey PRIMARY KEY (provider, symbol_id, timeframe);

--
-- Name: ingestion_fetched ingestion_fetched_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ingestion_fetched
    ADD CONSTRAINT ingestion_fetched_pkey PRIMARY KEY (provider, symbol_id, timeframe);

--
-- Name: ingestion_run ingestion_run_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ingestion_run
    ADD CONSTRAINT ingestion_run_pkey PRIMARY KEY (run_id);

--
-- Name: ingestion_run ingestion_run_request_id_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ingestion_run
    ADD CONSTRAINT ingestion_run_request_id_key UNIQUE (request_id);

--
-- Name: ingestion_target ingestion_target_name_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ingestion_target
    ADD CONSTRAINT ingestion_target_name_key UNIQUE (name);

--
-- Name: ingestion_target ingestion_target_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ingestion_target
    ADD CONSTRAINT ingestion_target_pkey PRIMARY KEY (target_id);

--
-- Name: ingestion_task ingestion_task_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ingestion_task
    ADD CONSTRAINT ingestion_task_pkey PRIMARY KEY (run_id, task);

--
-- Name: market_corporate_action market_corporate_action_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.market_corporate_action
    ADD CONSTRAINT market_corporate_action_pkey PRIMARY KEY (action_id);

--
-- Name: market_corporate_action_revision market_corporate_action_revision_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.market_corporate_action_revision
    ADD CONSTRAINT market_corporate_action_revision_pkey PRIMARY KEY (symbol_id, kind, ex_date, superseded_by);

--
-- Name: market_corporate_action market_corporate_action_symbol_id_kind_ex_date_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.market_corporate_action
    ADD CONSTRAINT market_corporate_action_symbol_id_kind_ex_date_key UNIQUE (symbol_id, kind, ex_date);

--
-- Name: market_feed market_feed_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.market_feed
    ADD CONSTRAINT market_feed_pkey PRIMARY KEY (feed_id);

--
-- Name: market_feed market_feed_provider_feed_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.market_feed
    ADD CONSTRAINT market_feed_provider_feed_key UNIQUE (provider, feed);

--
-- Name: market_stock_hist_bars_day_ts market_stock_hist_bars_day_ts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.market_stock_hist_bars_day_ts
    ADD CONSTRAINT market_stock_hist_bars_day_ts_pkey PRIMARY KEY (symbol, "time");

--
-- Name: market_stock_hist_bars_hour_ts market_stock_hist_bars_hour_ts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.market_stock_hist_bars_hour_ts
    ADD CONSTRAINT market_stock_hist_bars_hour_ts_pkey PRIMARY KEY (symbol, "time");

--
-- Name: market_stock_hist_bars_min_ts market_stock_hist_bars_min_ts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.market_stock_hist_bars_min_ts
    ADD CONSTRAINT market_stock_hist_bars_min_ts_pkey PRIMARY KEY (symbol, "time");

--
-- Name: market_stock market_stock_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.market_stock
    ADD CONSTRAINT market_stock_pkey PRIMARY KEY (symbol_id);

--
-- Name: market_symbol market_symbol_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.market_symbol
    ADD CONSTRAINT market_symbol_pkey PRIMARY KEY (symbol_id);

--
-- Name: market_symbol_revision market_symbol_revision_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.market_symbol_revision
    ADD CONSTRAINT market_symbol_revision_pkey PRIMARY KEY (symbol_id, superseded_by);

--
-- Name: provider_quota provider_quota_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.provider_quota
    ADD CONSTRAINT provider_quota_pkey PRIMARY KEY (provider, key_id, day);

--
-- Name: reference_fetched reference_fetched_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reference_fetched
    ADD CONSTRAINT reference_fetched_pkey PRIMARY KEY (provider, symbol_id, kind);

--
-- Name: rollup_dirty rollup_dirty_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.rollup_dirty
    ADD CONSTRAINT rollup_dirty_pkey PRIMARY KEY (symbol, day);

--
-- Name: schema_migration schema_migration_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schema_migration
    ADD CONSTRAINT schema_migration_pkey PRIMARY KEY (number);

--
-- Name: symbol_validity symbol_validity_no_overlap; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.symbol_validity
    ADD CONSTRAINT symbol_validity_no_overlap EXCLUDE USING gist (symbol WITH =, daterange(valid_from, valid_to) WITH &&);

--
-- Name: token_key token_key_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.token_key
    ADD CONSTRAINT token_key_pkey PRIMARY KEY (token_key_id);

--
-- Name: version_horizon version_horizon_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.version_horizon
    ADD CONSTRAINT version_horizon_pkey PRIMARY KEY (log_id);

--
-- Name: bar_quarantine_open; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX bar_quarantine_open ON public.bar_quarantine USING btree (quarantine_id) WHERE (state = 'open'::text);

--
-- Name: bar_quarantine_run; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX bar_quarantine_run ON public.bar_quarantine USING btree (run_id, quarantine_id) WHERE (run_id IS NOT NULL);

--
-- Name: bar_revision_superseded_by; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX bar_revision_superseded_by ON public.bar_revision USING btree (superseded_by);

--
-- Name: bar_write_committed_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX bar_write_committed_at ON public.bar_write USING btree (committed_at, seq);

--
-- Name: bar_write_overtaken; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX bar_write_overtaken ON public.bar_write USING gist (point((write_id)::double precision, (seq)::double precision)) WHERE (write_id < "greatest");

--
-- Name: ingestion_failed_symbol_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ingestion_failed_symbol_id ON public.ingestion_failed USING btree (symbol_id);

--
-- Name: ingestion_fetched_symbol_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ingestion_fetched_symbol_id ON public.ingestion_fetched USING btree (symbol_id);

--
-- Name: ingestion_run_open; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ingestion_run_open ON public.ingestion_run USING btree (run_id) WHERE (state = ANY (ARRAY['queued'::text, 'running'::text]));

--
-- Name: ingestion_task_symbol_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ingestion_task_symbol_id ON public.ingestion_task USING btree (symbol_id);

--
-- Name: market_stock_sector; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX market_stock_sector ON public.market_stock USING btree (sector);

--
-- Name: market_symbol_name; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX market_symbol_name ON public.market_symbol USING btree (name, symbol_id);

--
-- Name: market_symbol_search_keys; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX market_symbol_search_keys ON public.market_symbol USING gin (public.symbol_search_keys((string_to_array(search_name, ' '::text) || lower(symbol))));

--
-- Name: market_symbol_search_name; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX market_symbol_search_name ON public.market_symbol USING gin (search_name public.gin_trgm_ops);

--
-- Name: market_symbol_symbol; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX market_symbol_symbol ON public.market_symbol USING btree (symbol, symbol_id);

--
-- Name: reference_fetched_symbol_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX reference_fetched_symbol_id ON public.reference_fetched USING btree (symbol_id);

--
-- Name: rollup_dirty_day; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX rollup_dirty_day ON public.rollup_dirty USING btree (day, symbol);

--
-- Name: symbol_validity_open; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX symbol_validity_open ON public.symbol_validity USING btree (symbol) WHERE (valid_to IS NULL);

--
-- Name: symbol_validity_revision_symbol; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX symbol_validity_revision_symbol ON public.symbol_validity_revision USING btree (symbol);

--
-- Name: symbol_validity_revision_symbol_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX symbol_validity_revision_symbol_id ON public.symbol_validity_revision USING btree (symbol_id);

--
-- Name: symbol_validity_symbol; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX symbol_validity_symbol ON public.symbol_validity USING btree (symbol, valid_to);

--
-- Name: symbol_validity_symbol_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX symbol_validity_symbol_id ON public.symbol_validity USING btree (symbol_id);

--
-- Name: bar_write bar_write_seq; Type: TRIGGER; Schema: public; Owner: -
--

CREATE CONSTRAINT TRIGGER bar_write_seq AFTER INSERT ON public.bar_write DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.bar_write_take_seq();

--
-- Name: ingestion_failed ingestion_failed_symbol_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ingestion_failed
    ADD CONSTRAINT ingestion_failed_symbol_id_fkey FOREIGN KEY (symbol_id) REFERENCES public.market_symbol(symbol_id) ON DELETE CASCADE;

--
-- Name: ingestion_fetched ingestion_fetched_symbol_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ingestion_fetched
    ADD CONSTRAINT ingestion_fetched_symbol_id_fkey FOREIGN KEY (symbol_id) REFERENCES public.market_symbol(symbol_id) ON DELETE CASCADE;

--
-- Name: ingestion_task ingestion_task_run_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ingestion_task
    ADD CONSTRAINT ingestion_task_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.ingestion_run(run_id) ON DELETE CASCADE;

--
-- Name: ingestion_task ingestion_task_symbol_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ingestion_task
    ADD CONSTRAINT ingestion_task_symbol_id_fkey FOREIGN KEY (symbol_id) REFERENCES public.market_symbol(symbol_id) ON DELETE CASCADE;

--
-- Name: market_corporate_action market_corporate_action_symbol_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.market_corporate_action
    ADD CONSTRAINT market_corporate_action_symbol_id_fkey FOREIGN KEY (symbol_id) REFERENCES public.market_symbol(symbol_id) ON DELETE CASCADE;

--
-- Name: market_stock market_stock_symbol_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.market_stock
    ADD CONSTRAINT market_stock_symbol_id_fkey FOREIGN KEY (symbol_id) REFERENCES public.market_symbol(symbol_id) ON DELETE CASCADE;

--
-- Name: reference_fetched reference_fetched_symbol_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reference_fetched
    ADD CONSTRAINT reference_fetched_symbol_id_fkey FOREIGN KEY (symbol_id) REFERENCES public.market_symbol(symbol_id) ON DELETE CASCADE;

--
-- Name: symbol_validity symbol_validity_symbol_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.symbol_validity
    ADD CONSTRAINT symbol_validity_symbol_id_fkey FOREIGN KEY (symbol_id) REFERENCES public.market_symbol(symbol_id) ON DELETE CASCADE;

--
-- Name: FUNCTION bar_partition_drop_oldest(which public.bar_table); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.bar_partition_drop_oldest(which public.bar_table) FROM PUBLIC;
GRANT ALL ON FUNCTION public.bar_partition_drop_oldest(which public.bar_table) TO market_data_service_user;

--
-- Name: FUNCTION bar_partition_ensure(which public.bar_table, starts timestamp with time zone[]); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.bar_partition_ensure(which public.bar_table, starts timestamp with time zone[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.bar_partition_ensure(which public.bar_table, starts timestamp with time zone[]) TO market_data_service_user;

--
-- Name: TABLE bar_storage; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.bar_storage TO market_data_service_user;

--
-- Name: FUNCTION bar_retention_record(which public.bar_table, until timestamp with time zone); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.bar_retention_record(which public.bar_table, until timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION public.bar_retention_record(which public.bar_table, until timestamp with time zone) TO market_data_service_user;

--
-- Name: TABLE bar_change; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.bar_change TO market_data_service_user;

--
-- Name: TABLE bar_latest; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.bar_latest TO market_data_service_user;

--
-- Name: TABLE bar_log; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.bar_log TO market_data_service_user;

--
-- Name: TABLE bar_log_head; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.bar_log_head TO market_data_service_user;

--
-- Name: TABLE bar_quarantine; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.bar_quarantine TO market_data_service_user;

--
-- Name: SEQUENCE bar_quarantine_quarantine_id_seq; Type: ACL; Schema: public; Owner: -
--

GRANT USAGE ON SEQUENCE public.bar_quarantine_quarantine_id_seq TO market_data_service_user;

--
-- Name: TABLE bar_revision; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.bar_revision TO market_data_service_user;

--
-- Name: TABLE bar_rollup_day; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.bar_rollup_day TO market_data_service_user;

--
-- Name: TABLE bar_rollup_hour; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.bar_rollup_hour TO market_data_service_user;

--
-- Name: TABLE bar_write; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.bar_write TO market_data_service_user;

--
-- Name: SEQUENCE bar_write_id; Type: ACL; Schema: public; Owner: -
--

GRANT USAGE ON SEQUENCE public.bar_write_id TO market_data_service_user;

--
-- Name: TABLE feed_lease; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.feed_lease TO market_data_service_user;

--
-- Name: TABLE ingestion_failed; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ingestion_failed TO market_data_service_user;

--
-- Name: TABLE ingestion_fetched; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ingestion_fetched TO market_data_service_user;

--
-- Name: TABLE ingestion_run; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ingestion_run TO market_data_service_user;

--
-- Name: SEQUENCE ingestion_run_run_id_seq; Type: ACL; Schema: public; Owner: -
--

GRANT USAGE ON SEQUENCE public.ingestion_run_run_id_seq TO market_data_service_user;

--
-- Name: TABLE ingestion_target; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ingestion_target TO market_data_service_user;

--
-- Name: SEQUENCE ingestion_target_target_id_seq; Type: ACL; Schema: public; Owner: -
--

GRANT USAGE ON SEQUENCE public.ingestion_target_target_id_seq TO market_data_service_user;

--
-- Name: TABLE ingestion_task; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ingestion_task TO market_data_service_user;

--
-- Name: TABLE market_corporate_action; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.market_corporate_action TO market_data_service_user;

--
-- Name: SEQUENCE market_corporate_action_action_id_seq; Type: ACL; Schema: public; Owner: -
--

GRANT USAGE ON SEQUENCE public.market_corporate_action_action_id_seq TO market_data_service_user;

--
-- Name: TABLE market_corporate_action_revision; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.market_corporate_action_revision TO market_data_service_user;

--
-- Name: TABLE market_feed; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.market_feed TO market_data_service_user;

--
-- Name: SEQUENCE market_feed_feed_id_seq; Type: ACL; Schema: public; Owner: -
--

GRANT USAGE ON SEQUENCE public.market_feed_feed_id_seq TO market_data_service_user;

--
-- Name: TABLE market_stock; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.market_stock TO market_data_service_user;

--
-- Name: TABLE market_stock_hist_bars_day_ts; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.market_stock_hist_bars_day_ts TO market_data_service_user;

--
-- Name: TABLE market_stock_hist_bars_hour_ts; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.market_stock_hist_bars_hour_ts TO market_data_service_user;

--
-- Name: TABLE market_stock_hist_bars_min_ts; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.market_stock_hist_bars_min_ts TO market_data_service_user;

--
-- Name: TABLE market_symbol; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.market_symbol TO market_data_service_user;

--
-- Name: TABLE market_symbol_revision; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.market_symbol_revision TO market_data_service_user;

--
-- Name: SEQUENCE market_symbol_symbol_id_seq; Type: ACL; Schema: public; Owner: -
--

GRANT USAGE ON SEQUENCE public.market_symbol_symbol_id_seq TO market_data_service_user;

--
-- Name: TABLE provider_quota; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.provider_quota TO market_data_service_user;

--
-- Name: TABLE reference_fetched; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.reference_fetched TO market_data_service_user;

--
-- Name: TABLE rollup_dirty; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.rollup_dirty TO market_data_service_user;

--
-- Name: TABLE schema_migration; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT ON TABLE public.schema_migration TO market_data_service_user;

--
-- Name: TABLE symbol_validity; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.symbol_validity TO market_data_service_user;

--
-- Name: TABLE symbol_validity_revision; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.symbol_validity_revision TO market_data_service_user;

--
-- Name: TABLE token_key; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT ON TABLE public.token_key TO market_data_service_user;

--
-- Name: TABLE version_horizon; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.version_horizon TO market_data_service_user;

--
-- Name: DEFAULT PRIVILEGES FOR SEQUENCES; Type: DEFAULT ACL; Schema: public; Owner: -
--

ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT USAGE ON SEQUENCES TO market_data_service_user;

--
-- Name: DEFAULT PRIVILEGES FOR TABLES; Type: DEFAULT ACL; Schema: public; Owner: -
--

ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT SELECT,INSERT,DELETE,UPDATE ON TABLES TO market_data_service_user;

--
-- PostgreSQL database dump complete
--
