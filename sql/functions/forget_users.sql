CREATE OR REPLACE FUNCTION recs.forget_users() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, recs, pg_temp
AS $$
DECLARE
  v_tenant text;
  v_users text[];
  v_model_id bigint;
BEGIN
  PERFORM recs.require_trigger_of(
    'recs.interactions', 'recs.forget_users()', TG_RELID, TG_NAME);
  FOR v_tenant, v_users IN
    SELECT g.tenant_id, array_agg(DISTINCT g.user_id) FROM gone g GROUP BY 1 ORDER BY 1
  LOOP
    IF TG_OP = 'UPDATE' THEN
      -- Planned here only, since a DELETE has no new rows.
      SELECT array_agg(u.user_id) INTO v_users FROM unnest(v_users) u (user_id)
        WHERE NOT EXISTS (SELECT FROM kept k WHERE k.tenant_id = v_tenant AND k.user_id = u.user_id);
      CONTINUE WHEN v_users IS NULL;
    END IF;
    -- Before any vector, as a drop of a version does: in another order each could wait for the other.
    PERFORM pg_advisory_xact_lock_shared(recs.placement_lock(v_tenant));
    PERFORM recs.refuse_unseen_models(v_tenant);
    -- Version by version, each named: else the partitions of all tenants would be locked.
    FOR v_model_id IN
      SELECT m.model_id FROM recs.models m WHERE m.tenant_id = v_tenant ORDER BY 1
    LOOP
      -- Two that each delete a part of what a user did would each see the other's: the second one
      -- waits here, and looks again in the next statement.
      EXECUTE format('SELECT FROM recs.user_embeddings e
                      WHERE e.tenant_id = $1 AND e.model_id = %s AND e.user_id = ANY ($2)
                      ORDER BY e.user_id FOR UPDATE', v_model_id)
        USING v_tenant, v_users;
      EXECUTE format('DELETE FROM recs.user_embeddings e
                      WHERE e.tenant_id = $1 AND e.model_id = %s AND e.user_id = ANY ($2)
                        AND NOT EXISTS (SELECT FROM recs.interactions i
                          WHERE i.tenant_id = $1 AND i.user_id = e.user_id)', v_model_id)
        USING v_tenant, v_users;
    END LOOP;
  END LOOP;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION recs.forget_users() IS
  'Trigger: a user''s vectors go with the last of the interactions that they were made of, in all versions.';
