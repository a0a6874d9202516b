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
  v_user record;
  v_seen text[];
BEGIN
  SELECT m.model_id, m.dimension INTO v_model
    FROM recs.models m WHERE m.tenant_id = v_tenant AND m.state = 'active';
  SELECT array_agg(i.item_id) INTO v_seen
    FROM recs.interactions i WHERE i.tenant_id = v_tenant AND i.user_id = p_user_id;
  SELECT u.* INTO v_user FROM recs.user_vector(p_user_id) u;
  RETURN QUERY EXECUTE format($q$
      SELECT e.item_id, (-(e.embedding::halfvec(%1$s) <#> $1))::real, 1, 'model', ''
      FROM recs.item_embeddings e
      JOIN recs.items i ON i.tenant_id = e.tenant_id AND i.item_id = e.item_id AND i.available
      WHERE e.model_id = %2$s AND e.tenant_id = $2 AND e.item_id <> ALL ($3)
        AND ($4 IS NULL OR i.attributes @> $4)
      ORDER BY e.embedding::halfvec(%1$s) <#> $1
      LIMIT $5$q$, v_model.dimension, v_model.model_id)
    USING v_user.embedding::halfvec, v_tenant, CASE WHEN p_include_seen THEN '{}' ELSE v_seen END, p_filter, p_k;
END
$$;
