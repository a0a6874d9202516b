CREATE OR REPLACE FUNCTION recs.recommend_for_items(
  p_item_ids text[],
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
  v_model recs.models;
  v_history vector;
  v_support integer;
  v_exclude text[] := p_exclude || p_item_ids;
  v_items text[] := '{}';
BEGIN
  PERFORM recs.check_k(p_k);
  PERFORM recs.check_filter(p_filter);
  SELECT m.* INTO v_model FROM recs.models m WHERE m.tenant_id = v_tenant AND m.state = 'active';
  IF FOUND THEN
    -- What recs.user_vector() would sum for somebody who has done just this, now.
    EXECUTE format(
      'SELECT sum(e.history_embedding::vector), count(*)
       FROM recs.item_embeddings e
       WHERE e.model_id = %s AND e.tenant_id = $1 AND e.item_id = ANY ($2)', v_model.model_id)
      INTO v_history, v_support USING v_tenant, p_item_ids;
  END IF;
  IF v_history IS NOT NULL THEN
    tier := 'fold_in';
    FOR item_id, score, reason IN EXECUTE format($q$
      SELECT n.item_id, n.score, 'because of ' || (
        SELECT left(coalesce(nullif(t.title, ''), t.item_id), 200)
        FROM recs.item_embeddings h
        JOIN recs.items t ON t.tenant_id = $1 AND t.item_id = h.item_id
        WHERE h.model_id = %2$s AND h.tenant_id = $1 AND h.item_id = ANY ($4)
        ORDER BY h.history_embedding <#> e.embedding
        LIMIT 1)
      FROM recs.%1$I($1, NULL, $2, $3, true, $5, $6, $7) WITH ORDINALITY n
      JOIN recs.item_embeddings e
        ON e.model_id = %2$s AND e.tenant_id = $1 AND e.item_id = n.item_id
      ORDER BY n.ordinality$q$, 'nearest_items_' || v_model.model_id, v_model.model_id)
      USING v_tenant, l2_normalize(recs.blend_user(v_history, v_support, v_model))::halfvec, p_k,
        p_item_ids, p_filter, p_candidates, v_exclude
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

COMMENT ON FUNCTION recs.recommend_for_items(text[], integer, jsonb, text[], text[]) IS
  'The k best items beside those given, a basket say, or what a visitor without a name has looked at: what recommend() would answer a new user who had chosen them now, never fewer while k others are eligible. Ids that are not in the catalog are passed over. Reads only.';
