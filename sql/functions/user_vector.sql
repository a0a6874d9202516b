CREATE OR REPLACE FUNCTION recs.user_vector(p_user_id text, p_model_id bigint DEFAULT NULL)
RETURNS TABLE (history vector, embedding vector, support integer, recent integer, stored boolean)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path FROM CURRENT
SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_variable
DECLARE
  v_tenant text := recs.current_tenant();
  v_model recs.models;
  v_fingerprint bigint;
  v_all integer;
  v_sum record;
BEGIN
  SELECT m.* INTO v_model
    FROM recs.models m
    WHERE m.tenant_id = v_tenant
      AND CASE WHEN p_model_id IS NULL THEN m.state = 'active' ELSE m.model_id = p_model_id END;
  SELECT count(*), count(*) FILTER (WHERE i.occurred_at > v_model.trained_until),
         sum(hashtext(i.item_id)::bigint) FILTER (WHERE i.occurred_at <= v_model.trained_until)
    INTO v_all, recent, v_fingerprint
    FROM recs.interactions i WHERE i.tenant_id = v_tenant AND i.user_id = p_user_id;
  IF v_model.model_id IS NULL OR v_all = 0 THEN
    RETURN;
  END IF;
  EXECUTE format('SELECT * FROM recs.%I($1, $2, $3, $4)', 'user_history_' || v_model.model_id)
    INTO v_sum USING v_tenant, p_user_id, v_model, v_fingerprint;
  stored := v_sum.stored IS NOT NULL;
  history := coalesce(v_sum.stored + v_sum.added, v_sum.added, v_sum.stored);
  support := coalesce(v_sum.stored_support, 0) + v_sum.added_support;
  IF history IS NOT NULL THEN  -- else the version knows none of what the user did
    embedding := l2_normalize(recs.blend_user(history, support, v_model));
    RETURN NEXT;
  END IF;
END
$$;

COMMENT ON FUNCTION recs.user_vector(text, bigint) IS
  'A user''s unit vector in a model version (NULL: the active one) and the sum it is made from, by the interactions visible now: the stored sum plus what came since, or folded in from all of them. No row: nothing is known of the user.';
