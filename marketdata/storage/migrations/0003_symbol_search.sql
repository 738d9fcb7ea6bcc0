-- Search of symbols by ticker and name. The same in all storage modes.
--
-- Trigrams find names that resemble a text, but are weak on short ones: AALP and AAPL share one of five.
-- Two texts that are one slip apart (a letter too much, too few, another, or two exchanged) have a word in
-- common when each is spelt with up to one letter left out; those spellings are indexed, so that such a
-- text is found without reading all symbols.

DO $$
BEGIN
    IF getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'the database is encoded in %; names need one that is made with ENCODING UTF8',
            getdatabaseencoding() USING ERRCODE = 'feature_not_supported';
    END IF;
END
$$;

CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS fuzzystrmatch;

-- One spelling of what people type: lower case, no accents, no compatibility forms, single spaces.
CREATE FUNCTION symbol_fold(entered text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN btrim(regexp_replace(
        lower(regexp_replace(normalize(entered, NFKD), '[\u0300-\u036f]', '', 'g')), '\s+', ' ', 'g'));

-- The words of a name by which it is searched, between single spaces. Legal forms say nothing about a
-- company and stand in a third of all names, so they are left out unless nothing else is there. What is
-- said as one word is one: McDonald's, AT&T, J.P.
CREATE FUNCTION symbol_search_name(name text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce(nullif(btrim(regexp_replace(regexp_replace(words,
               '\m(the|inc|incorporated|corp|corporation|co|company|ltd|limited|plc|llc|lp|sa|ag|se|nv|ab'
               '|spa|asa|oyj|class|common|ordinary|stock|shares?)\M',
               '', 'g'), ' +', ' ', 'g')), ''), words)
      FROM (SELECT btrim(regexp_replace(
                regexp_replace(regexp_replace(symbol_fold(name), '[''’&]', '', 'g'),
                               '\m(\w)\.(?=\w\M)', '\1', 'g'),
                '[^[:alnum:]]+', ' ', 'g')) AS words) AS plain;
END;

-- Each word, and each word with one letter left out. The cost is what a call takes in units of the
-- planner: at the default it would rather call this for all symbols than use the index.
CREATE FUNCTION symbol_search_keys(words text[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 5000
BEGIN ATOMIC
    SELECT coalesce(array_agg(DISTINCT left(word, place - 1) || substr(word, place + 1)), '{}')
      FROM unnest(words) AS word CROSS JOIN generate_series(1, length(word) + 1) AS place
     WHERE length(word) > 1;
END;

-- How alike two words are, from 0 to 1: 1 for the same, less for one slip the shorter they are, 0 beyond
-- one. Two letters exchanged are likelier than another letter; levenshtein counts them as two. The bound
-- keeps it within what it takes, 255 letters.
CREATE FUNCTION symbol_likeness(one text, other text) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN one = other THEN 1.0
        WHEN abs(length(one) - length(other)) > 1 OR least(length(one), length(other)) < 2
             OR greatest(length(one), length(other)) > 100 THEN 0.0
        WHEN levenshtein_less_equal(one, other, 1) = 1
            THEN 1.0 - 1.0 / greatest(length(one), length(other))
        WHEN length(one) = length(other) AND levenshtein_less_equal(one, other, 2) = 2
             AND one || ' ' || other ~ '^(.*)(.)(.)(.*) \1\3\2\4$'
            THEN 1.0 - 0.75 / length(one)
        ELSE 0.0
    END;

ALTER TABLE market_symbol
    ADD COLUMN search_name text NOT NULL GENERATED ALWAYS AS (symbol_search_name(name)) STORED;
COMMENT ON COLUMN market_symbol.search_name IS 'The words of the name by which it is searched.';

CREATE INDEX market_symbol_search_name ON market_symbol USING gin (search_name gin_trgm_ops);
CREATE INDEX market_symbol_search_keys ON market_symbol
    USING gin (symbol_search_keys(string_to_array(search_name, ' ') || lower(symbol)));

-- Lists by name.
CREATE INDEX market_symbol_name ON market_symbol (name, symbol_id);
