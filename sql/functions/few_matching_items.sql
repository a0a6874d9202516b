CREATE OR REPLACE FUNCTION recs.few_matching_items(p_filter jsonb, p_most integer) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path FROM CURRENT
SET jit = off
SET plan_cache_mode = force_generic_plan
-- The best sellers by their index, one after the other.
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_sort = off
SET enable_bitmapscan = off
AS $$
DECLARE
  v_tenant text := recs.current_tenant();
  v_items text[];
BEGIN
  -- Where a tenth passes, the index on attributes would list all of it before the first can be had.
  -- To find four of them among the best sellers takes less.
  IF p_filter = '{}' OR p_most < 1 OR 4 = (
    SELECT count(*)
    FROM (SELECT
          FROM (SELECT p.item_id FROM recs.item_popularity p
                WHERE p.tenant_id = v_tenant AND p.segment = ''
                ORDER BY p.popularity DESC, p.item_id
                LIMIT 100) c
          JOIN recs.items i ON i.tenant_id = v_tenant AND i.item_id = c.item_id
          WHERE i.attributes @> p_filter
          LIMIT 4) passed)
  THEN
    RETURN NULL;
  END IF;
  -- Asked for one by one, so that no more are looked up than that.
  v_items := ARRAY(SELECT recs.matching_items(p_filter, NULL) LIMIT p_most + 1);
  RETURN CASE WHEN cardinality(v_items) <= p_most THEN v_items END;
END
$$;

COMMENT ON FUNCTION recs.few_matching_items(jsonb, integer) IS
  'The available items of the current tenant whose attributes contain the filter; NULL where there are more than p_most, or where four of the hundred best sellers are among them, which most likely means the same.';
