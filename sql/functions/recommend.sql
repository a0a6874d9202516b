CREATE OR REPLACE FUNCTION recs.recommend(
  p_user_id text,
  p_k integer DEFAULT 10,
  p_include_seen boolean DEFAULT false,
  p_filter jsonb DEFAULT NULL
) RETURNS TABLE (item_id text, score real, rank integer, tier text, reason text)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path FROM CURRENT
SET hnsw.ef_search = 100
SET hnsw.iterative_scan = strict_order
AS $$
#variable_conflict use_column
DECLARE
  v_tenant text := recs.current_tenant();
  v_model record;
  v_embedding vector;
  v_stored boolean;
  v_items text[];
  v_scores real[];
  v_reasons text[];
BEGIN
  PERFORM recs.check_k(p_k);
  SELECT m.model_id, m.dimension INTO v_model
    FROM recs.models m WHERE m.tenant_id = v_tenant AND m.state = 'active';
  IF FOUND THEN
    SELECT u.embedding, u.stored INTO v_embedding, v_stored FROM recs.user_vector(p_user_id) u;
  END IF;
  IF v_embedding IS NOT NULL THEN
    -- One index scan in order of distance, stopping at k rows that are available, wanted, unseen.
    EXECUTE format($q$
      WITH found AS MATERIALIZED (
        SELECT e.item_id, e.embedding, (-(e.embedding::halfvec(%1$s) <#> $1))::real AS score
        FROM recs.item_embeddings e
        JOIN recs.items i ON i.tenant_id = e.tenant_id AND i.item_id = e.item_id
        WHERE e.model_id = %2$s AND e.tenant_id = $2 AND i.available %3$s %4$s
        ORDER BY e.embedding::halfvec(%1$s) <#> $1
        LIMIT $4
      ), recent AS MATERIALIZED (
        SELECT l.item_id, h.history_embedding
        FROM (SELECT x.item_id FROM recs.interactions x
              WHERE x.tenant_id = $2 AND x.user_id = $3
              GROUP BY x.item_id ORDER BY max(x.occurred_at) DESC LIMIT 10) l
        JOIN recs.item_embeddings h
          ON h.model_id = %2$s AND h.tenant_id = $2 AND h.item_id = l.item_id
      )
      SELECT array_agg(f.item_id), array_agg(f.score), array_agg('because of ' || coalesce(nullif(t.title, ''), t.item_id))
      FROM found f
      LEFT JOIN LATERAL (
        SELECT r.item_id FROM recent r ORDER BY r.history_embedding <#> f.embedding LIMIT 1
      ) r ON true
      LEFT JOIN recs.items t ON t.tenant_id = $2 AND t.item_id = r.item_id$q$,
      v_model.dimension, v_model.model_id,
      CASE WHEN NOT p_include_seen THEN
        'AND NOT EXISTS (SELECT FROM recs.interactions s
           WHERE s.tenant_id = $2 AND s.user_id = $3 AND s.item_id = e.item_id)' END,
      CASE WHEN p_filter IS NOT NULL THEN 'AND i.attributes @> $5' END)
      INTO v_items, v_scores, v_reasons
      USING v_embedding::halfvec, v_tenant, p_user_id, p_k, p_filter;
    RETURN QUERY
      SELECT f.item_id, f.score, f.rank::integer,
             CASE WHEN v_stored THEN 'model' ELSE 'fold_in' END, f.reason
      FROM unnest(v_items, v_scores, v_reasons) WITH ORDINALITY f (item_id, score, reason, rank);
  END IF;
  IF coalesce(cardinality(v_items), 0) < p_k THEN
    RETURN QUERY
      SELECT * FROM recs.fill_recommendations(p_user_id, p_k, p_include_seen, p_filter, v_items);
  END IF;
END
$$;

COMMENT ON FUNCTION recs.recommend(text, integer, boolean, jsonb) IS
  'The k best items for a user, best first, never fewer while k eligible items exist: by the model vector and what the user did since training; folded in from first events; by popularity in the segment; by popularity. Reads only. p_filter: only items whose attributes contain it.';
