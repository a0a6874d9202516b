CREATE OR REPLACE FUNCTION recs.content_neighbors(p_content halfvec, p_k integer)
RETURNS TABLE (item_id text, similarity double precision)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 20
SET search_path FROM CURRENT
SET jit = off
SET hnsw.ef_search = 100
SET hnsw.iterative_scan = strict_order
SET enable_seqscan = off
SET enable_sort = off
AS $$
DECLARE
  v_tenant text := recs.current_tenant();
  v_model record;
BEGIN
  SELECT m.model_id, m.content_dimension INTO v_model FROM recs.models m
    WHERE m.tenant_id = v_tenant AND m.state = 'active';
  IF v_model.content_dimension IS NULL THEN
    RETURN;
  END IF;
  RETURN QUERY EXECUTE format($q$
    SELECT e.item_id, -(e.content_embedding::halfvec(%2$s) <#> $1)
    FROM recs.item_embeddings e
    WHERE e.tenant_id = $2 AND e.model_id = %1$s AND e.source = 'interactions'
    ORDER BY e.content_embedding::halfvec(%2$s) <#> $1 LIMIT $3$q$,
    v_model.model_id, v_model.content_dimension)
    USING p_content, v_tenant, p_k;
END
$$;

COMMENT ON FUNCTION recs.content_neighbors(halfvec, integer) IS
  'The learned items of the active model nearest to a content vector, by its index.';
