CREATE OR REPLACE FUNCTION recs.measure_ann_recall(
  p_k integer DEFAULT 10,
  p_users integer DEFAULT 100,
  p_seed bigint DEFAULT 0,
  p_model_id bigint DEFAULT NULL
) RETURNS TABLE (user_id text, ann_recall double precision)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path FROM CURRENT
SET jit = off
AS $$
DECLARE
  v_tenant text := recs.current_tenant();
  v_model recs.models;
BEGIN
  PERFORM recs.check_k(p_k);
  SELECT m.* INTO v_model
    FROM recs.models m
    WHERE m.tenant_id = v_tenant AND m.state IN ('ready', 'active', 'retired')
      AND CASE WHEN p_model_id IS NULL THEN m.state = 'active' ELSE m.model_id = p_model_id END;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  -- The number of the version stands in the query as a constant, so that it locks no other's
  -- partitions. The index is on a cast to the dimension: without that cast a search is exact.
  RETURN QUERY EXECUTE format($query$
    WITH sample AS MATERIALIZED (
      SELECT u.user_id, l2_normalize(recs.blend_user(u.history, u.support, $2))::halfvec AS embedding
      FROM recs.user_embeddings u
      WHERE u.tenant_id = $1 AND u.model_id = %1$s
      ORDER BY hashtextextended(u.user_id, $5)
      LIMIT $4
    )
    SELECT s.user_id, CASE WHEN e.size = 0 THEN 1 ELSE f.as_near / e.size::float8 END
    FROM sample s
    CROSS JOIN LATERAL (
      SELECT count(*) AS size, max(n.distance)::real AS furthest
      FROM (
        SELECT v.embedding <#> s.embedding AS distance
        FROM recs.item_embeddings v
        JOIN recs.items i ON i.tenant_id = v.tenant_id AND i.item_id = v.item_id AND i.available
        WHERE v.tenant_id = $1 AND v.model_id = %1$s
          AND NOT EXISTS (
            SELECT FROM recs.interactions h
            WHERE h.tenant_id = $1 AND h.user_id = s.user_id AND h.item_id = v.item_id)
        ORDER BY distance LIMIT $3
      ) n
    ) e
    -- Of items as far away as the last one any is as good.
    CROSS JOIN LATERAL (
      SELECT count(*) AS as_near
      FROM recs.%2$I($1, s.user_id, s.embedding, $3, false, NULL) n
      WHERE -n.score <= e.furthest
    ) f
    ORDER BY s.user_id$query$, v_model.model_id, 'nearest_items_' || v_model.model_id)
    USING v_tenant, v_model, p_k, p_users, p_seed;
END
$$;

COMMENT ON FUNCTION recs.measure_ann_recall(integer, integer, bigint, bigint) IS
  'How much of the exact nearest items the index finds now, by user: of the p_k unseen, available items nearest to the vector of each of p_users users, the share that a list of p_k has; one as near as the last of them counts. p_seed draws other users. p_model_id: of another version than the active one. No rows without an active model, or without users. Compares all items for each user.';
