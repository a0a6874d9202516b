CREATE OR REPLACE FUNCTION recs.forget_items() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, recs, pg_temp
AS $$
DECLARE
  v_tenant text;
  v_items text[];
  v_model_id bigint;
BEGIN
  PERFORM recs.require_trigger_of('recs.items', 'recs.forget_items()', TG_RELID, TG_NAME);
  FOR v_tenant, v_items IN
    SELECT d.tenant_id, array_agg(d.item_id) FROM deleted d GROUP BY 1 ORDER BY 1
  LOOP
    -- Before any row, as who makes popularity anew and who drops a version do: in another order
    -- each could wait for the other.
    PERFORM pg_advisory_xact_lock_shared(recs.popularity_lock(v_tenant));
    PERFORM pg_advisory_xact_lock_shared(recs.placement_lock(v_tenant));
    DELETE FROM recs.item_popularity p WHERE p.tenant_id = v_tenant AND p.item_id = ANY (v_items);
    -- Version by version, each named: else the partitions of all tenants would be locked.
    FOR v_model_id IN SELECT m.model_id FROM recs.models m WHERE m.tenant_id = v_tenant LOOP
      EXECUTE format('DELETE FROM recs.item_embeddings e
                      WHERE e.tenant_id = $1 AND e.model_id = %s AND e.item_id = ANY ($2)', v_model_id)
        USING v_tenant, v_items;
    END LOOP;
  END LOOP;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION recs.forget_items() IS
  'Trigger: what was derived of a deleted item goes with it; its interactions stay as history. A version that is being made forgets it once it is published.';
