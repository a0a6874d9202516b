CREATE OR REPLACE FUNCTION recs.start_trial(p_model_id bigint, p_share real) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path FROM CURRENT
AS $$
DECLARE
  v_tenant text := recs.current_tenant();
  v_state text;
  v_other bigint;
BEGIN
  IF p_share IS NULL OR NOT (p_share > 0 AND p_share < 1) THEN
    RAISE EXCEPTION 'share is %, expected more than 0 and less than 1', coalesce(p_share::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'for all users: SELECT recs.activate_model(..); for none: SELECT recs.stop_trial()';
  END IF;
  -- As activate_model() does: what is inserted around this is in the version that serves then.
  PERFORM recs.lock_placement();
  SELECT m.state INTO v_state FROM recs.models m
    WHERE m.tenant_id = v_tenant AND m.model_id = p_model_id FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'tenant % has no model %', v_tenant, p_model_id
      USING ERRCODE = 'no_data_found', HINT = 'list them: SELECT model_id, name, state FROM recs.models';
  END IF;
  IF v_state NOT IN ('ready', 'retired') THEN
    RAISE EXCEPTION 'model % is %, expected ready or retired', p_model_id, v_state
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'train one that does not serve all: recs train --no-activate';
  END IF;
  SELECT m.model_id INTO v_other FROM recs.models m
    WHERE m.tenant_id = v_tenant AND m.trial_share IS NOT NULL AND m.model_id <> p_model_id;
  IF FOUND THEN
    RAISE EXCEPTION 'model % is on trial already', v_other
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'stop that: SELECT recs.stop_trial()';
  END IF;
  -- The active version is written, too: a transaction whose snapshot is older, and so does not see
  -- the trial, fails where it adds an item, rather than leaving it out of the version on trial.
  UPDATE recs.models m SET state = m.state
    WHERE m.tenant_id = v_tenant AND m.state = 'active';
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no model is active, to be compared with'
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('activate one: SELECT recs.activate_model(%s)', p_model_id);
  END IF;
  UPDATE recs.models m SET trial_share = p_share
    WHERE m.tenant_id = v_tenant AND m.model_id = p_model_id;
  PERFORM recs.place_items(p_model_id);
END
$$;

COMMENT ON FUNCTION recs.start_trial(bigint, real) IS
  'Let a version that is ready or retired answer a share of the users, at commit; the active one answers the others. Again with another share: from then on that. recs.serving_model(user_id) says who gets which.';
