CREATE OR REPLACE FUNCTION recs.roll_back_model() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path FROM CURRENT
AS $$
DECLARE
  v_tenant text := recs.current_tenant();
  v_before recs.models;
BEGIN
  -- Before any row, as activate_model() does: in another order the two could wait for each other.
  PERFORM recs.lock_placement();
  SELECT b.* INTO v_before
    FROM recs.models a
    JOIN recs.models b ON b.tenant_id = a.tenant_id AND b.model_id = a.previous_model_id
    WHERE a.tenant_id = v_tenant AND a.state = 'active'
    FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'tenant % has no model to roll back to', v_tenant
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'list them: SELECT model_id, name, state FROM recs.models';
  END IF;
  PERFORM recs.activate_model(v_before.model_id);
  -- The version gone back to keeps its own predecessor, so that a second roll back goes further.
  UPDATE recs.models m SET previous_model_id = v_before.previous_model_id
    WHERE m.tenant_id = v_tenant AND m.model_id = v_before.model_id;
  RETURN v_before.model_id;
END
$$;

COMMENT ON FUNCTION recs.roll_back_model() IS
  'Activate the model version that served before the active one; returns its model_id. Again: one further back.';
