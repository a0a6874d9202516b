CREATE OR REPLACE FUNCTION recs.activate_model(p_model_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path FROM CURRENT
AS $$
DECLARE
  v_tenant text := recs.current_tenant();
  v_model recs.models;
  v_active bigint;
BEGIN
  -- Waits for transactions that are placing new items in the active model, and they for this one:
  -- at READ COMMITTED an item inserted around a flip is in the version that serves after it.
  PERFORM recs.lock_placement();
  SELECT * INTO v_model FROM recs.models m
    WHERE m.tenant_id = v_tenant AND m.model_id = p_model_id FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'tenant % has no model %', v_tenant, p_model_id
      USING ERRCODE = 'no_data_found', HINT = 'list them: SELECT model_id, name, state FROM recs.models';
  END IF;
  IF v_model.state IN ('training', 'failed') THEN
    RAISE EXCEPTION 'model % is %, expected ready or retired', p_model_id, v_model.state
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'train another: recs train';
  END IF;
  SELECT m.model_id INTO v_active FROM recs.models m
    WHERE m.tenant_id = v_tenant AND m.state = 'active' FOR UPDATE;
  IF v_active = p_model_id THEN
    RETURN;
  END IF;
  UPDATE recs.models m SET state = 'retired'
    WHERE m.tenant_id = v_tenant AND m.model_id = v_active;
  UPDATE recs.models m
    SET state = 'active', activated_at = now(), trial_share = NULL,
        previous_model_id = coalesce(v_active, m.previous_model_id)
    WHERE m.tenant_id = v_tenant AND m.model_id = p_model_id;
  PERFORM recs.place_items(p_model_id);
END
$$;

COMMENT ON FUNCTION recs.activate_model(bigint) IS
  'Make a model version the one that serves: one atomic flip, at commit. Items that came after it was trained are placed in it by their content. If it was on trial, that is over; the trial of another goes on.';
