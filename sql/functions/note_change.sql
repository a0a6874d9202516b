CREATE OR REPLACE FUNCTION recs.note_change() RETURNS trigger
-- As the owner: who may change a version or a tenant may not write what is noted of it.
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, recs, pg_temp
AS $$
DECLARE
  v_old jsonb := to_jsonb(OLD) - 'metrics';  -- long, and of the version, which has them
  v_new jsonb := to_jsonb(NEW) - 'metrics';
  v_row jsonb := coalesce(v_new, v_old);
  v_changes jsonb := (
    SELECT coalesce(jsonb_object_agg(n.key, jsonb_build_array(o.value, n.value)), '{}')
    FROM jsonb_each(v_old) o JOIN jsonb_each(v_new) n USING (key)
    WHERE o.value <> n.value);
BEGIN
  PERFORM recs.require_trigger_of(
    format('recs.%I', TG_TABLE_NAME), 'recs.note_change()', TG_RELID, TG_NAME);
  -- What training writes of a version until it is ready is noted once, when it becomes so. What
  -- only a version that has served has is no training's to write.
  IF TG_OP = 'UPDATE'
     AND (v_changes = '{}'
          OR 'training' = ALL (ARRAY[v_old ->> 'state', v_new ->> 'state'])
             AND NOT v_changes ?| '{activated_at,previous_model_id,trial_share}') THEN
    RETURN NULL;
  END IF;
  INSERT INTO recs.audit_events
    (tenant_id, login_role, acting_role, subject, subject_id, subject_name, action, changes)
  SELECT v_row ->> 'tenant_id', session_user, nullif(current_setting('role'), 'none'), TG_TABLE_NAME,
         coalesce(v_row ->> 'model_id', v_row ->> 'tenant_id'), v_row ->> 'name',
         CASE
           WHEN TG_OP = 'INSERT' THEN 'created'
           WHEN TG_OP = 'DELETE' THEN 'dropped'
           WHEN v_old ->> 'state' <> v_new ->> 'state' THEN v_new ->> 'state'
           ELSE 'changed'
         END,
         v_changes;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION recs.note_change() IS
  'Trigger: notes in recs.audit_events who created, changed or dropped a model version or a tenant.';
