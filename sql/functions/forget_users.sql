CREATE OR REPLACE FUNCTION recs.forget_users() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
  PERFORM recs.require_trigger_of('recs.users', 'recs.forget_users()', TG_RELID, TG_NAME);
  -- Before any vector, as a drop of a version does: in another order each could wait for the other.
  PERFORM pg_advisory_xact_lock_shared(recs.placement_lock(d.tenant_id))
    FROM (SELECT DISTINCT tenant_id FROM deleted ORDER BY tenant_id) d;
  -- By way of the versions: the key of vectors has the version before the user.
  DELETE FROM recs.user_embeddings e USING deleted d, recs.models m
    WHERE m.tenant_id = d.tenant_id
      AND e.tenant_id = d.tenant_id AND e.model_id = m.model_id AND e.user_id = d.user_id;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION recs.forget_users() IS
  'Trigger: the vectors of a deleted user go with it, in all versions; its interactions stay as history, and while they do, recommend() folds the user in from them.';
