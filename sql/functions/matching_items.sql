CREATE OR REPLACE FUNCTION recs.matching_items(p_filter jsonb) RETURNS SETOF text
-- As the owner: row-level security lets no one else's containment be looked up in an index.
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, recs, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = on  -- whatever the caller has: that index has no other way
AS $$
  SELECT i.item_id
  FROM recs.items i
  WHERE i.tenant_id = recs.current_tenant() AND i.available
    AND i.attributes @> coalesce(p_filter, '{}')
$$;

COMMENT ON FUNCTION recs.matching_items(jsonb) IS
  'The available items of the current tenant whose attributes contain the filter; all of them where it is NULL.';
