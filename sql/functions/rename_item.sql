CREATE OR REPLACE FUNCTION recs.rename_item() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, recs, pg_temp
AS $$
DECLARE
  v_users text[];
  v_times timestamptz[];
  v_model recs.models;
BEGIN
  PERFORM recs.require_trigger_of('recs.items', 'recs.rename_item()', TG_RELID, TG_NAME);
  -- Before any row, as who makes popularity anew and who drops a version do: in another order each
  -- could wait for the other.
  PERFORM pg_advisory_xact_lock_shared(recs.popularity_lock(old.tenant_id));
  PERFORM pg_advisory_xact_lock_shared(recs.placement_lock(old.tenant_id));
  -- Of an item of that name that was deleted something may be left, by a refresh say that ran beside.
  DELETE FROM recs.item_popularity p
    WHERE p.tenant_id = old.tenant_id AND p.item_id = new.item_id;
  UPDATE recs.item_popularity p SET item_id = new.item_id
    WHERE p.tenant_id = old.tenant_id AND p.item_id = old.item_id;
  WITH renamed AS (
    UPDATE recs.interactions i SET item_id = new.item_id
      WHERE i.tenant_id = old.tenant_id AND i.item_id = old.item_id
      RETURNING i.user_id, i.occurred_at
  )
  SELECT array_agg(r.user_id), array_agg(r.occurred_at) INTO v_users, v_times FROM renamed r;
  -- Version by version, each named: else the partitions of all tenants would be locked.
  FOR v_model IN SELECT * FROM recs.models m WHERE m.tenant_id = old.tenant_id ORDER BY m.model_id LOOP
    EXECUTE format('DELETE FROM recs.item_embeddings e
                    WHERE e.tenant_id = $1 AND e.model_id = %s AND e.item_id = $2', v_model.model_id)
      USING old.tenant_id, new.item_id;
    EXECUTE format('UPDATE recs.item_embeddings e SET item_id = $3
                    WHERE e.tenant_id = $1 AND e.model_id = %s AND e.item_id = $2', v_model.model_id)
      USING old.tenant_id, old.item_id, new.item_id;
    -- Stored sums stay what they are; what they were made of has another name.
    EXECUTE format('UPDATE recs.user_embeddings e
                    SET fingerprint = e.fingerprint + r.times * (hashtext($6)::bigint - hashtext($5))
                    FROM (SELECT u.user_id, count(*) AS times
                          FROM unnest($2, $3) u (user_id, occurred_at)
                          WHERE u.occurred_at <= $4 GROUP BY 1) r
                    WHERE e.tenant_id = $1 AND e.model_id = %s AND e.user_id = r.user_id', v_model.model_id)
      USING old.tenant_id, v_users, v_times, v_model.trained_until, old.item_id, new.item_id;
  END LOOP;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION recs.rename_item() IS
  'Trigger: an item that gets another id keeps its vectors, its popularity and the interactions that are there to be seen. It reads all interactions of the tenant, which no index finds by item. A version that is being made knows the old id.';
