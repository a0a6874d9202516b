CREATE OR REPLACE FUNCTION recs.user_vector(p_user_id text, p_model_id bigint DEFAULT NULL)
RETURNS TABLE (history vector, embedding vector, support integer, recent integer, stored boolean)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
  v_tenant text := recs.current_tenant();
  v_model recs.models;
  v_history vector;
  v_support integer;
  v_fingerprint bigint;
  v_stored_fingerprint bigint;
  v_all integer;
  v_recent integer;
BEGIN
  SELECT m.* INTO v_model
    FROM recs.models m
    WHERE m.tenant_id = v_tenant
      AND CASE WHEN p_model_id IS NULL THEN m.state = 'active' ELSE m.model_id = p_model_id END;
  SELECT count(*), count(*) FILTER (WHERE i.occurred_at > v_model.trained_until),
         sum(hashtext(i.item_id)::bigint) FILTER (WHERE i.occurred_at <= v_model.trained_until)
    INTO v_all, v_recent, v_fingerprint
    FROM recs.interactions i WHERE i.tenant_id = v_tenant AND i.user_id = p_user_id;
  IF v_model.model_id IS NULL OR v_all = 0 THEN
    RETURN;
  END IF;
  SELECT u.history, u.support, u.fingerprint INTO v_history, v_support, v_stored_fingerprint
    FROM recs.user_embeddings u
    WHERE u.tenant_id = v_tenant AND u.model_id = v_model.model_id AND u.user_id = p_user_id;
  -- The stored sum stands for the interactions it was made of. Where one of those was deleted, or
  -- one came late, the sum is made anew from all of them.
  IF v_history IS NULL OR v_stored_fingerprint IS DISTINCT FROM v_fingerprint THEN
    v_history := NULL;
    v_support := 0;
  ELSIF v_recent = 0 THEN
    RETURN QUERY
      SELECT v_history,
             l2_normalize(recs.blend_user(v_history, v_support, v_model)),
             v_support, 0, true;
    RETURN;
  END IF;
  RETURN QUERY
    -- An item counts by its last time and its largest weight, however often it was touched.
    WITH history AS (
      SELECT i.item_id, max(i.occurred_at) AS last, max(i.weight) AS weight,
             max(i.weight) FILTER (
               WHERE v_history IS NOT NULL AND i.occurred_at <= v_model.trained_until)
               AS weight_before,
             max(i.occurred_at) FILTER (
               WHERE v_history IS NOT NULL AND i.occurred_at <= v_model.trained_until) AS before
      FROM recs.interactions i
      WHERE i.tenant_id = v_tenant AND i.user_id = p_user_id
      GROUP BY i.item_id
    ), weighted AS (
      SELECT e.history_embedding::vector AS p, h.before IS NULL AS is_new,
             h.weight * recs.decay(h.last, v_model.trained_until, v_model.history_half_life)
             - coalesce(h.weight_before * recs.decay(
                 h.before, v_model.trained_until, v_model.history_half_life), 0) AS weight
      FROM history h
      JOIN recs.item_embeddings e
        ON e.tenant_id = v_tenant AND e.model_id = v_model.model_id AND e.item_id = h.item_id
      WHERE h.last IS DISTINCT FROM h.before
    ), summed AS (
      -- Nothing to add where the version knows none of what came since.
      SELECT coalesce(v_history + s.sum, s.sum, v_history) AS history, s.support + v_support AS support
      FROM (
        SELECT sum(array_fill(w.weight::real, ARRAY[v_model.dimension])::vector * w.p) AS sum,
               (count(*) FILTER (WHERE w.is_new))::integer AS support
        FROM weighted w
      ) s
      WHERE coalesce(s.sum, v_history) IS NOT NULL
    )
    SELECT s.history,
           l2_normalize(recs.blend_user(s.history, s.support, v_model)),
           s.support, v_recent, v_history IS NOT NULL
    FROM summed s;
END
$$;

COMMENT ON FUNCTION recs.user_vector(text, bigint) IS
  'A user''s unit vector in a model version (NULL: the active one) and the sum it is made from, by the interactions visible now: the stored sum plus what came since, or folded in from all of them. No row: nothing is known of the user.';
