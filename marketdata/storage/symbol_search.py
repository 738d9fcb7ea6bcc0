"""Symbols found for a person who types: by ticker first, then by what resembles ticker or name.

What a text and a name have in common is told by SQL functions of migration 0003. Tried with 100,000
symbols on two cores: 1 ms where tickers that begin with the text fill the answer, 2 to 50 ms where
not, and up to 300 ms for words that a tenth of all names have (Technologies Holdings): all of them
are compared.
"""

from typing import Any, Final

from psycopg import sql

from marketdata.domain.symbol_query import MatchKind, SymbolMatch
from marketdata.storage.pools import Connection
from marketdata.storage.symbol_rows import JOIN_VALIDITY, SYMBOL_COLUMNS, fetch_rows, to_symbol

# A ticker that the symbol had before is its own no less; only the present one is a perfect match.
_FORMER_SCORE: Final = 0.95
# Below it pg_trgm's candidates have little in common with the text, and are many.
_LEAST_WORD_SIMILARITY: Final = "0.5"
# The weakest match that is worth showing: one slip in a ticker of two letters.
_LEAST_SCORE: Final = 0.4
# The longest words of a text tell most. One of two is spelt right where one slip was made, or it is
# the legal form, which no name is searched by.
_MOST_KEY_WORDS: Final = 2
# One letter resembles everything.
_LEAST_FUZZY_LETTERS: Final = 2

# The text as tickers are compared with it; as names are, and its distinct words, the longest first; the
# spellings by which symbols one slip away are found. The settings end with the transaction: the planner
# takes the spellings of one word for independent, so that those of a common one seem to be in nearly
# all names, and would read all symbols instead of an index (1.6 s of 30,000, instead of 0.3 s).
_UNDERSTAND: Final = sql.SQL("""
    SELECT symbol_fold(%(text)s) AS ticker, name, words.all AS words,
           symbol_search_keys(symbol_fold(%(text)s) || words.all[:{most}]) AS keys,
           set_config('pg_trgm.word_similarity_threshold', {similarity}, true),
           set_config('enable_seqscan', 'off', true)
      FROM symbol_search_name(%(text)s) AS name
      CROSS JOIN LATERAL (
          SELECT coalesce(array_agg(word ORDER BY length(word) DESC, word), '{{}}') AS all
            FROM (SELECT DISTINCT word FROM unnest(string_to_array(name, ' ')) AS word) AS split
      ) AS words
""").format(similarity=sql.Literal(_LEAST_WORD_SIMILARITY), most=sql.Literal(_MOST_KEY_WORDS))
# Shorter tickers first. By symbol_validity_symbol and market_symbol_symbol: in the C collation ^@ is a
# range of it.
_BY_TICKER: Final = sql.SQL("""
    WITH exact AS MATERIALIZED (
        SELECT symbol_id, CASE WHEN bool_or(valid_to IS NULL) THEN 1.0 ELSE {former} END AS score
          FROM symbol_validity WHERE symbol = upper(%(ticker)s) COLLATE "C" GROUP BY symbol_id
    ), matched AS (
        SELECT symbol_id, 'exact' AS kind, score FROM exact
        UNION ALL
        (SELECT symbol_id, 'prefix', length(%(ticker)s)::float8 / length(symbol) AS score
           FROM market_symbol
          WHERE symbol ^@ upper(%(ticker)s) AND symbol_id NOT IN (SELECT symbol_id FROM exact)
          ORDER BY score DESC, symbol, symbol_id LIMIT %(limit)s)
    )
    SELECT kind, score::float8, {columns}
      FROM matched JOIN market_symbol AS identity USING (symbol_id) {validity}
     ORDER BY kind, score DESC, identity.symbol, identity.symbol_id LIMIT %(limit)s
""").format(former=sql.Literal(_FORMER_SCORE), columns=SYMBOL_COLUMNS, validity=JOIN_VALIDITY)
# How well a name matches: by the part of it that resembles the text most, in trigrams or word by word
# within one slip (all of it where the name begins with the text), and by how much of it that part is. A
# ticker within one slip counts a little less than a name that is written out, and whichever counts less
# still speaks for the symbol. By market_symbol_search_name and market_symbol_search_keys, joined in one
# bitmap.
_FUZZY: Final = sql.SQL("""
    WITH candidate AS MATERIALIZED (
        SELECT symbol_id, symbol, 0.8 * symbol_likeness(lower(symbol), %(ticker)s) AS ticker,
               similarity(%(name)s, search_name) AS whole,
               CASE WHEN starts_with(search_name, %(name)s) THEN 1
                    ELSE word_similarity(%(name)s, search_name) END AS part,
               (SELECT avg(best.likeness)
                  FROM unnest(%(words)s::text[]) AS asked
                 CROSS JOIN LATERAL (
                     SELECT max(symbol_likeness(asked, word)) AS likeness
                       FROM unnest(string_to_array(search_name, ' ')) AS word) AS best) AS words,
               least(1, cardinality(%(words)s::text[])::float8
                        / nullif(cardinality(string_to_array(search_name, ' ')), 0)) AS share
          FROM market_symbol
         WHERE symbol_id <> ALL (%(found)s::bigint[])
           AND ((length(%(name)s) >= {letters} AND search_name %%> %(name)s)
                OR symbol_search_keys(string_to_array(search_name, ' ') || lower(symbol))
                   && %(keys)s::text[])
    ), judged AS (
        SELECT symbol_id, symbol, ticker,
               0.6 * greatest(part, words) + 0.4 * greatest(whole, words * share) AS name
          FROM candidate
    ), matched AS (
        SELECT symbol_id,
               greatest(ticker, name)
               + (1 - greatest(ticker, name)) * least(ticker, name) / 2 AS score
          FROM judged WHERE greatest(ticker, name) >= {least}
         ORDER BY score DESC, symbol, symbol_id LIMIT %(limit)s
    )
    SELECT 'fuzzy' AS kind, least(1, score)::float8 AS score, {columns}
      FROM matched JOIN market_symbol AS identity USING (symbol_id) {validity}
     ORDER BY matched.score DESC, identity.symbol, identity.symbol_id
""").format(
    letters=sql.Literal(_LEAST_FUZZY_LETTERS),
    least=sql.Literal(_LEAST_SCORE),
    columns=SYMBOL_COLUMNS,
    validity=JOIN_VALIDITY,
)


async def search_symbols(connection: Connection, text: str, limit: int) -> list[SymbolMatch]:
    """Find the symbols that a text best matches.

    Parameters
    ----------
    text : str
        What was typed, without NUL; case, accents and blanks around it do not matter, and no
        character is a wildcard.
    limit : int
        Most matches.

    Returns
    -------
    list of SymbolMatch
        The exact ticker first, present or former, then tickers that begin with the text, then what
        resembles it; within each by score, then by ticker. Where those before it fill the answer,
        nothing is looked for that resembles the text.
    """
    async with connection.transaction():
        (asked,) = await fetch_rows(connection, _UNDERSTAND, {"text": text})
        if not asked["ticker"]:
            return []  # accents over nothing
        matches = await _fetch(connection, _BY_TICKER, {**asked, "limit": limit})
        if len(matches) < limit and len(asked["ticker"]) >= _LEAST_FUZZY_LETTERS:
            found = [match.symbol.symbol_id for match in matches]
            rest = {**asked, "found": found, "limit": limit - len(matches)}
            matches += await _fetch(connection, _FUZZY, rest)
    return matches


async def _fetch(
    connection: Connection, query: sql.Composed, parameters: dict[str, Any]
) -> list[SymbolMatch]:
    rows = await fetch_rows(connection, query, parameters)
    return [
        SymbolMatch(kind=MatchKind(row.pop("kind")), score=row.pop("score"), symbol=to_symbol(row))
        for row in rows
    ]
