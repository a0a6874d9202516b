CREATE OR REPLACE FUNCTION recs.matching_items(p_filter jsonb, p_candidates text[]) RETURNS SETOF text
-- As the owner: row-level security lets no one else's containment be looked up in an index.
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, recs, pg_temp
SET jit = off
SET enable_seqscan = off
SET enable_bitmapscan = on  -- whatever the caller has: that index has no other way
AS $$
  SELECT i.item_id
  FROM recs.items i
  WHERE p_candidates IS NULL
    AND i.tenant_id = recs.current_tenant() AND i.available
    AND i.attributes @> coalesce(p_filter, '{}')
  UNION ALL
  SELECT i.item_id
  FROM (SELECT DISTINCT u.item_id FROM unnest(p_candidates) u (item_id)) c
  JOIN recs.items i ON i.tenant_id = recs.current_tenant() AND i.item_id = c.item_id
  WHERE i.available AND (p_filter IS NULL OR i.attributes @> p_filter)
$$;

COMMENT ON FUNCTION recs.matching_items(jsonb, text[]) IS
  'The available items of the current tenant that are among the candidates and whose attributes contain the filter; what is NULL keeps all.';
