CREATE OR REPLACE FUNCTION recs.similar_items(
  p_item_id text,
  p_k integer DEFAULT 10,
  p_filter jsonb DEFAULT NULL,
  p_candidates text[] DEFAULT NULL,
  p_exclude text[] DEFAULT NULL
) RETURNS TABLE (item_id text, score real, rank integer, tier text, reason text)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 10
SET search_path FROM CURRENT
SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
  v_tenant text := recs.current_tenant();
  v_model record;
  v_title text;
  v_embedding halfvec;
  v_source text;
  v_exclude text[] := p_exclude || p_item_id;
  v_items text[] := '{}';
BEGIN
  PERFORM recs.check_k(p_k);
  PERFORM recs.check_filter(p_filter);
  SELECT left(coalesce(nullif(i.title, ''), i.item_id), 200) INTO v_title
    FROM recs.items i WHERE i.tenant_id = v_tenant AND i.item_id = p_item_id;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'item % is not in the catalog', coalesce(quote_literal(p_item_id), 'NULL')
      USING ERRCODE = 'no_data_found', HINT = 'insert it into recs.items first';
  END IF;
  SELECT m.model_id, m.dimension, m.tower_dimension INTO v_model
    FROM recs.models m WHERE m.tenant_id = v_tenant AND m.state = 'active';
  IF FOUND THEN
    EXECUTE format('SELECT e.embedding, e.source FROM recs.item_embeddings e
                    WHERE e.model_id = %s AND e.tenant_id = $1 AND e.item_id = $2', v_model.model_id)
      INTO v_embedding, v_source USING v_tenant, p_item_id;
  END IF;
  IF v_embedding IS NOT NULL THEN
    -- Who chose it, by both parts; how popular or new the others are is not the question. An item's
    -- two-tower part is short, for the sake of the index, and says most here: times 4 it has norm 2.
    IF v_model.tower_dimension IS NOT NULL THEN
      v_embedding := l2_normalize(
        array_fill(4::real, ARRAY[v_model.tower_dimension])::halfvec
          * l2_normalize(subvector(v_embedding, 1, v_model.tower_dimension))
        || l2_normalize(subvector(v_embedding, v_model.tower_dimension + 1,
                                  v_model.dimension - v_model.tower_dimension - 2))
        || ARRAY[0, 0]::halfvec);
    END IF;
    tier := 'similar';
    FOR item_id, score, reason IN EXECUTE format($q$
      SELECT n.item_id, n.score,
             CASE WHEN 'content' IN ($6, e.source) THEN 'by its content, like '
               ELSE 'chosen by the same users as ' END || $7
      FROM recs.%1$I($1, NULL, $2, $3, true, $4, $5, $8) WITH ORDINALITY n
      JOIN recs.item_embeddings e
        ON e.model_id = %2$s AND e.tenant_id = $1 AND e.item_id = n.item_id
      ORDER BY n.ordinality$q$, 'nearest_items_' || v_model.model_id, v_model.model_id)
      USING v_tenant, v_embedding, p_k, p_filter, p_candidates, v_source, v_title, v_exclude
    LOOP
      v_items := v_items || item_id;
      rank := cardinality(v_items);
      RETURN NEXT;
    END LOOP;
  END IF;
  IF cardinality(v_items) < p_k THEN
    RETURN QUERY
      SELECT * FROM recs.fill_recommendations(
        NULL, p_k, true, p_filter, p_candidates, v_exclude, v_items);
  END IF;
END
$$;

COMMENT ON FUNCTION recs.similar_items(text, integer, jsonb, text[], text[]) IS
  'The k items most similar to an item, best first, never fewer while k others are eligible: by who chose them, or by content where one of the two is new; then popular ones. Reads only.';
