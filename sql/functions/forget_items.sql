CREATE OR REPLACE FUNCTION recs.forget_items() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
  PERFORM recs.require_trigger_of('recs.items', 'recs.forget_items()', TG_RELID, TG_NAME);
  -- Before any vector, as a drop of a version does: in another order each could wait for the other.
  PERFORM pg_advisory_xact_lock_shared(recs.placement_lock(d.tenant_id))
    FROM (SELECT DISTINCT tenant_id FROM deleted ORDER BY tenant_id) d;
  DELETE FROM recs.item_embeddings e USING deleted d
    WHERE e.tenant_id = d.tenant_id AND e.item_id = d.item_id;
  DELETE FROM recs.item_popularity p USING deleted d
    WHERE p.tenant_id = d.tenant_id AND p.item_id = d.item_id;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION recs.forget_items() IS
  'Trigger: what was derived of a deleted item goes with it; its interactions stay as history.';
