CREATE OR REPLACE FUNCTION recs.place_changed_items() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, recs, pg_temp
AS $$
DECLARE
  v_tenant text;
  v_items text[];
  v_model_id bigint;
  v_other bigint;
BEGIN
  PERFORM recs.require_trigger_of('recs.items', 'recs.place_changed_items()', TG_RELID, TG_NAME);
  FOR v_tenant IN SELECT DISTINCT n.tenant_id FROM changed n LOOP
    IF TG_OP = 'INSERT' THEN
      SELECT array_agg(n.item_id) INTO v_items FROM changed n WHERE n.tenant_id = v_tenant;
    ELSE
      -- No join, whose plan would be kept: one made for a single row takes hours for a catalog.
      SELECT array_agg(d.item_id) INTO v_items
        FROM (SELECT n.item_id, n.title, n.description, n.attributes, n.content_vector
              FROM changed n WHERE n.tenant_id = v_tenant
              EXCEPT
              SELECT o.item_id, o.title, o.description, o.attributes, o.content_vector
              FROM previous o WHERE o.tenant_id = v_tenant) d;
    END IF;
    CONTINUE WHEN v_items IS NULL;  -- what is only sold out, say, waits for no activation
    -- Shared with other inserts, exclusive with activate_model(): see there.
    PERFORM pg_advisory_xact_lock_shared(recs.placement_lock(v_tenant));
    -- In versions that do not serve, what is no longer true of an item goes; activating one places it.
    IF TG_OP = 'UPDATE' THEN
      FOR v_other IN
        SELECT m.model_id FROM recs.models m
          WHERE m.tenant_id = v_tenant AND m.state <> 'active' AND m.trial_share IS NULL ORDER BY 1
      LOOP
        EXECUTE format('DELETE FROM recs.item_embeddings e
                        WHERE e.tenant_id = $1 AND e.model_id = %s AND e.item_id = ANY ($2)
                          AND e.source = ''content''', v_other)
          USING v_tenant, v_items;
      END LOOP;
    END IF;
    -- FOR SHARE: a transaction whose snapshot is older than a flip from one version to another
    -- fails, rather than placing items in the one that no longer serves.
    SELECT m.model_id INTO v_model_id
      FROM recs.models m WHERE m.tenant_id = v_tenant AND m.state = 'active' FOR SHARE;
    IF NOT FOUND THEN
      PERFORM recs.refuse_stale_snapshot(v_tenant);  -- nor is one left unplaced for the first
      CONTINUE;
    END IF;
    PERFORM recs.place_items(v_model_id, v_items, v_tenant);
    PERFORM recs.place_items(m.model_id, v_items, v_tenant)
      FROM recs.models m WHERE m.tenant_id = v_tenant AND m.trial_share IS NOT NULL;
  END LOOP;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION recs.place_changed_items() IS
  'Trigger: a new item, or one whose content changed, gets its vectors in the transaction that writes it. It runs as its owner, since applications may not write vectors.';
