-- One statement, one reading of all interactions, which no index finds by item, whether it renamed one
-- item or all.
CREATE OR REPLACE FUNCTION recs.rename_items() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, recs, pg_temp
AS $$
DECLARE
  v_tenants text[];
  v_new_tenants text[];
  v_tenant text;
  v_all_old text[];
  v_all_new text[];
  v_at_once integer;
  v_first integer;
  v_old text[];
  v_new text[];
  v_model_id bigint;
  v_users text[];
  v_changes bigint[];
BEGIN
  PERFORM recs.require_trigger_of('recs.items', 'recs.rename_items()', TG_RELID, TG_NAME);
  -- No key tells which row became which. PostgreSQL appends to both tables at each row it updates, so
  -- the place does, and a scan of such a table goes by place. No join, whose plan would be kept: one
  -- made for a single row takes hours for a catalog.
  SELECT array_agg(p.tenant_id), array_agg(p.item_id) INTO v_tenants, v_old FROM previous p;
  SELECT array_agg(c.tenant_id), array_agg(c.item_id) INTO v_new_tenants, v_new FROM changed c;
  FOR v_tenant, v_all_old, v_all_new IN
    SELECT r.tenant_id, array_agg(r.old_id ORDER BY r.place), array_agg(r.new_id ORDER BY r.place)
    FROM unnest(v_tenants, v_old, v_new_tenants, v_new)
      WITH ORDINALITY r (tenant_id, old_id, new_tenant_id, new_id, place)
    WHERE r.old_id <> r.new_id AND r.tenant_id = r.new_tenant_id
    GROUP BY 1 ORDER BY 1
  LOOP
    -- Before any row, as who makes popularity anew and who drops a version do: in another order each
    -- could wait for the other.
    PERFORM pg_advisory_xact_lock_shared(recs.popularity_lock(v_tenant));
    PERFORM pg_advisory_xact_lock_shared(recs.placement_lock(v_tenant));
    -- All at once; but where one gets an id that another has given up, one by one, in their order.
    v_at_once := CASE
      WHEN (SELECT count(DISTINCT r.id COLLATE "C") FROM unnest(v_all_old || v_all_new) r (id))
           = 2 * cardinality(v_all_old)
        THEN cardinality(v_all_old) ELSE 1 END;
    FOR v_first IN 1 .. cardinality(v_all_old) BY v_at_once LOOP
      v_old := v_all_old[v_first : v_first + v_at_once - 1];
      v_new := v_all_new[v_first : v_first + v_at_once - 1];
      -- Of an item of that name that was deleted something may be left, by a refresh say that ran
      -- beside.
      DELETE FROM recs.item_popularity p USING unnest(v_new) r (new_id)
        WHERE p.tenant_id = v_tenant AND p.item_id = r.new_id;
      UPDATE recs.item_popularity p SET item_id = r.new_id
        FROM unnest(v_old, v_new) r (old_id, new_id)
        WHERE p.tenant_id = v_tenant AND p.item_id = r.old_id;
      -- Version by version, each named: else the partitions of all tenants would be locked.
      FOR v_model_id IN
        SELECT m.model_id FROM recs.models m WHERE m.tenant_id = v_tenant ORDER BY 1
      LOOP
        EXECUTE format('DELETE FROM recs.item_embeddings e USING unnest($2) r (new_id)
                        WHERE e.tenant_id = $1 AND e.model_id = %s AND e.item_id = r.new_id', v_model_id)
          USING v_tenant, v_new;
        EXECUTE format('UPDATE recs.item_embeddings e SET item_id = r.new_id
                        FROM unnest($2, $3) r (old_id, new_id)
                        WHERE e.tenant_id = $1 AND e.model_id = %s AND e.item_id = r.old_id', v_model_id)
          USING v_tenant, v_old, v_new;
      END LOOP;
      -- Stored sums stay what they are; what they were made of has another name.
      FOR v_model_id, v_users, v_changes IN
        WITH renamed AS (
          UPDATE recs.interactions i SET item_id = r.new_id
            FROM unnest(v_old, v_new) r (old_id, new_id)
            WHERE i.tenant_id = v_tenant AND i.item_id = r.old_id
            RETURNING i.user_id, i.occurred_at,
                      hashtext(r.new_id)::bigint - hashtext(r.old_id) AS change
        ), by_user AS (
          SELECT m.model_id, r.user_id, sum(r.change)::bigint AS change
          FROM renamed r
          JOIN recs.models m ON m.tenant_id = v_tenant AND r.occurred_at <= m.trained_until
          GROUP BY 1, 2
        )
        SELECT u.model_id, array_agg(u.user_id), array_agg(u.change) FROM by_user u GROUP BY 1 ORDER BY 1
      LOOP
        EXECUTE format('UPDATE recs.user_embeddings e SET fingerprint = e.fingerprint + u.change
                        FROM unnest($2, $3) u (user_id, change)
                        WHERE e.tenant_id = $1 AND e.model_id = %s AND e.user_id = u.user_id', v_model_id)
          USING v_tenant, v_users, v_changes;
      END LOOP;
    END LOOP;
  END LOOP;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION recs.rename_items() IS
  'Trigger: an item that gets another id keeps its vectors, its popularity and the interactions that are there to be seen. Each statement reads all interactions of the tenant, which no index finds by item. A version that is being made knows the old id; so do interactions that others commit meanwhile, until UPDATE recs.interactions SET item_id = .. takes them along: to wait for those, each event would have to lock the row of its item.';
