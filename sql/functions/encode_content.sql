CREATE OR REPLACE FUNCTION recs.encode_content(
  p_tenant_id text, p_model_id bigint,
  p_title text, p_description text, p_attributes jsonb, p_config regconfig
) RETURNS halfvec
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
  SELECT l2_normalize(s.content)::halfvec
  FROM (
    SELECT sum(array_fill(((1 + ln(w.frequency)) * t.inverse_document_frequency)::real,
                          ARRAY[vector_dims(t.embedding)])::vector * t.embedding::vector) AS content
    FROM (SELECT i.term COLLATE "C" AS term, sum(i.frequency) AS frequency
          FROM recs.item_terms(p_title, p_description, p_attributes, p_config) i
          GROUP BY 1) w
    JOIN recs.content_terms t
      ON t.tenant_id = p_tenant_id AND t.model_id = p_model_id AND t.term = w.term
  ) s
  WHERE vector_norm(s.content) > 0
$$;

COMMENT ON FUNCTION recs.encode_content(text, bigint, text, text, jsonb, regconfig) IS
  'An item''s content vector under a model version''s encoder: the normalised sum of (1 + ln tf) * idf * term vector, which holds what the term counts. NULL: it has no term that the encoder knows.';
