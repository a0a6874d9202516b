CREATE OR REPLACE FUNCTION recs.erase_user(p_user_id text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path FROM CURRENT
AS $$
DECLARE
  v_interactions bigint;
BEGIN
  DELETE FROM recs.users u
    WHERE u.tenant_id = recs.current_tenant() AND u.user_id = p_user_id;
  -- A trigger takes the vectors along, in every version.
  DELETE FROM recs.interactions i
    WHERE i.tenant_id = recs.current_tenant() AND i.user_id = p_user_id;
  GET DIAGNOSTICS v_interactions = ROW_COUNT;
  RETURN v_interactions;
END
$$;

COMMENT ON FUNCTION recs.erase_user(text) IS
  'Erase a user: the row of recs.users, all interactions, and with them the vectors in every model version. Returns the number of interactions; 0 where none were known. The user counts in popularity until the next refresh, and in what was learned of items until the next training.';
