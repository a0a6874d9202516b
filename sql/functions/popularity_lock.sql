CREATE OR REPLACE FUNCTION recs.popularity_lock(p_tenant_id text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN hashtextextended('recs.popularity:' || p_tenant_id, 0);

COMMENT ON FUNCTION recs.popularity_lock(text) IS
  'The advisory lock between deleting or renaming items (shared) and making popularity anew (exclusive).';
