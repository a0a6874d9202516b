CREATE OR REPLACE FUNCTION recs.nearest_items(p_user_id text, p_embedding vector, p_k integer)
RETURNS TABLE (item_id text, score real, reason text)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 200
SET search_path FROM CURRENT
SET jit = off
AS $$
DECLARE
  v_tenant text := recs.current_tenant();
  v_model_id bigint := (SELECT m.model_id FROM recs.models m
                        WHERE m.tenant_id = v_tenant AND m.state = 'active');
BEGIN
  RETURN QUERY EXECUTE
    format('SELECT * FROM recs.%I($1, $2, $3, $4, false, NULL)',
           'nearest_items_' || v_model_id)
    USING v_tenant, p_user_id, p_embedding::halfvec, p_k;
END
$$;

COMMENT ON FUNCTION recs.nearest_items(text, vector, integer) IS
  'Items nearest to a user''s vector in the active model, by its index; those seen are left out. There has to be one: recs.cold_start_users, which asks, has no user without.';
