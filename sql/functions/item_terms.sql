CREATE OR REPLACE FUNCTION recs.item_terms(
  p_title text, p_description text, p_attributes jsonb, p_config regconfig
) RETURNS TABLE (term text, frequency integer)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT w.lexeme, cardinality(w.positions)
  -- A tsvector holds a megabyte; what a text says it says before that.
  FROM unnest(to_tsvector(p_config, left(p_title || ' ' || p_description, 100000))) w
  UNION ALL
  -- Three letters in a row of a word of the title, its ends included: plurals, spellings, compounds.
  SELECT '~' || substr(p.word, n.start, 3), count(*)::integer
  FROM (SELECT ' ' || s.word || ' ' AS word
        FROM regexp_split_to_table(lower(left(p_title, 200)), '[^[:alnum:]]+') s (word)
        WHERE s.word <> '') p
  CROSS JOIN LATERAL generate_series(1, length(p.word) - 2) n (start)
  GROUP BY 1
  UNION ALL
  -- A term is found by an index, whose entries are short; what a value says it says before that.
  SELECT left(a.key, 200) || '=' || left(lower(v.value), 200), 1
  FROM jsonb_each(p_attributes) a
  CROSS JOIN LATERAL (
    SELECT a.value #>> '{}' AS value WHERE jsonb_typeof(a.value) IN ('string', 'boolean')
    UNION
    SELECT e.value FROM jsonb_array_elements_text(
      CASE jsonb_typeof(a.value) WHEN 'array' THEN a.value ELSE '[]' END) e
    UNION
    -- Numbers that are within a factor of about 1.4 share a term: prices, sizes, years ago.
    SELECT '~' || round(2 * ln(abs((a.value #>> '{}')::numeric)) / ln(2.0)) * sign((a.value #>> '{}')::numeric)
    WHERE jsonb_typeof(a.value) = 'number' AND (a.value #>> '{}')::numeric <> 0
  ) v
  UNION ALL
  -- A factor says nothing of years. Whole numbers, and dates by their year, stand in windows too: a
  -- year that no item had before is known by the years around it.
  SELECT format('%s=#%s:%s', left(n.key, 200), w.width, floor(n.value / w.width)), 1
  FROM (SELECT a.key,
               CASE WHEN jsonb_typeof(a.value) = 'number' THEN (a.value #>> '{}')::numeric
                    WHEN a.value #>> '{}' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}' THEN left(a.value #>> '{}', 4)::numeric
               END AS value
        FROM jsonb_each(p_attributes) a) n
  CROSS JOIN (VALUES (4), (16)) w (width)
  WHERE n.value = trunc(n.value) AND abs(n.value) BETWEEN 50 AND 1e9;
END;

COMMENT ON FUNCTION recs.item_terms(text, text, jsonb, regconfig) IS
  'The terms an item''s content is made of: lexemes of title and description, ~ and three letters of a title, key=value of its attributes, numbers in buckets, whole ones also in windows.';
