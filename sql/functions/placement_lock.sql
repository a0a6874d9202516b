CREATE OR REPLACE FUNCTION recs.placement_lock(p_tenant_id text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN hashtextextended('recs.placement:' || p_tenant_id, 0);

COMMENT ON FUNCTION recs.placement_lock(text) IS
  'The advisory lock between placing new items in the active model (shared) and changing which one that is (exclusive).';
