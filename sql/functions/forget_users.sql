CREATE OR REPLACE FUNCTION recs.forget_users() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
  PERFORM recs.require_trigger_of(
    'recs.interactions', 'recs.forget_users()', TG_RELID, TG_NAME);
  -- Before any vector, as a drop of a version does: in another order each could wait for the other.
  PERFORM pg_advisory_xact_lock_shared(recs.placement_lock(g.tenant_id))
    FROM (
      SELECT DISTINCT d.tenant_id FROM deleted d
        WHERE NOT EXISTS (SELECT FROM recs.interactions i
          WHERE i.tenant_id = d.tenant_id AND i.user_id = d.user_id)
        ORDER BY d.tenant_id
    ) g;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  -- By way of the versions: the key of vectors has the version before the user.
  DELETE FROM recs.user_embeddings e
    USING (SELECT DISTINCT tenant_id, user_id FROM deleted) d, recs.models m
    WHERE m.tenant_id = d.tenant_id
      AND e.tenant_id = d.tenant_id AND e.model_id = m.model_id AND e.user_id = d.user_id
      AND NOT EXISTS (SELECT FROM recs.interactions i
        WHERE i.tenant_id = d.tenant_id AND i.user_id = d.user_id);
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION recs.forget_users() IS
  'Trigger: a user''s vectors go with the last of the interactions that they were made of, in all versions.';
