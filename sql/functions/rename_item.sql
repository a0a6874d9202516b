CREATE OR REPLACE FUNCTION recs.rename_item() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
  PERFORM recs.require_trigger_of('recs.items', 'recs.rename_item()', TG_RELID, TG_NAME);
  -- Before any vector, as a drop of a version does: in another order each could wait for the other.
  PERFORM pg_advisory_xact_lock_shared(recs.placement_lock(old.tenant_id));
  -- A version that was published while an item was deleted may still hold what it learned of it.
  DELETE FROM recs.item_embeddings e USING recs.models m
    WHERE m.tenant_id = old.tenant_id
      AND e.tenant_id = m.tenant_id AND e.model_id = m.model_id AND e.item_id = new.item_id;
  DELETE FROM recs.item_popularity p
    WHERE p.tenant_id = old.tenant_id AND p.item_id = new.item_id;
  -- By way of the versions: the key of vectors has the version before the item.
  UPDATE recs.item_embeddings e SET item_id = new.item_id
    FROM recs.models m
    WHERE m.tenant_id = old.tenant_id
      AND e.tenant_id = m.tenant_id AND e.model_id = m.model_id AND e.item_id = old.item_id;
  UPDATE recs.item_popularity p SET item_id = new.item_id
    WHERE p.tenant_id = old.tenant_id AND p.item_id = old.item_id;
  UPDATE recs.interactions i SET item_id = new.item_id
    WHERE i.tenant_id = old.tenant_id AND i.item_id = old.item_id;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION recs.rename_item() IS
  'Trigger: an item that gets another id keeps its vectors, its popularity and its interactions. It reads all interactions of the tenant, which no index finds by item.';
