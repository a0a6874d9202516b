CREATE OR REPLACE FUNCTION recs.user_vector(p_user_id text, p_model_id bigint DEFAULT NULL)
RETURNS TABLE (embedding vector, support integer, recent integer)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
DECLARE
  v_tenant text := recs.current_tenant();
  v_model record;
  v_user record;
  v_all integer;
  v_recent integer;
  v_from timestamptz := '-infinity';
BEGIN
  SELECT m.model_id, m.dimension, m.stranger_embedding, m.history_half_life, m.trained_until
    INTO v_model
    FROM recs.models m
    WHERE m.tenant_id = v_tenant
      AND CASE WHEN p_model_id IS NULL THEN m.state = 'active' ELSE m.model_id = p_model_id END;
  SELECT count(*), count(*) FILTER (WHERE i.occurred_at > v_model.trained_until)
    INTO v_all, v_recent
    FROM recs.interactions i WHERE i.tenant_id = v_tenant AND i.user_id = p_user_id;
  IF v_model.model_id IS NULL OR v_all = 0 THEN
    RETURN;
  END IF;
  EXECUTE format(
    'SELECT u.history, u.support, u.interactions FROM recs.user_embeddings u
     WHERE u.model_id = %s AND u.tenant_id = $1 AND u.user_id = $2', v_model.model_id)
    INTO v_user USING v_tenant, p_user_id;
  -- The stored sum stands for the interactions it was made of. Where one of those was deleted, or
  -- one came late, it is made anew from all of them.
  IF v_user.interactions = v_all - v_recent THEN
    IF v_recent = 0 THEN
      RETURN QUERY SELECT l2_normalize(v_model.stranger_embedding + v_user.history), v_user.support, 0;
      RETURN;
    END IF;
    v_from := v_model.trained_until;
  ELSE
    v_user := NULL;
  END IF;
  RETURN QUERY EXECUTE format($q$
    WITH history AS (
      SELECT i.item_id, max(i.occurred_at) AS last,
             max(i.occurred_at) FILTER (WHERE i.occurred_at <= $3) AS before
      FROM recs.interactions i
      WHERE i.tenant_id = $1 AND i.user_id = $2
      GROUP BY i.item_id
      HAVING max(i.occurred_at) > $3
    ), weighted AS (
      SELECT e.history_embedding::vector AS p, h.before IS NULL AS is_new,
             recs.decay(h.last, $4, $5) - coalesce(recs.decay(h.before, $4, $5), 0) AS weight
      FROM history h
      JOIN recs.item_embeddings e ON e.model_id = %1$s AND e.tenant_id = $1 AND e.item_id = h.item_id
    ), summed AS (
      SELECT sum(array_fill(w.weight::real, ARRAY[%2$s])::vector * w.p) AS history,
             (count(*) FILTER (WHERE w.is_new))::integer AS support
      FROM weighted w
    )
    SELECT l2_normalize(CASE WHEN $7 IS NULL THEN $6 + s.history ELSE $6 + $7 + s.history END),
           s.support + coalesce($8, 0), $9
    FROM summed s WHERE s.history IS NOT NULL$q$, v_model.model_id, v_model.dimension)
    USING v_tenant, p_user_id, v_from, v_model.trained_until, v_model.history_half_life,
          v_model.stranger_embedding, v_user.history, v_user.support, v_recent;
END
$$;

COMMENT ON FUNCTION recs.user_vector(text, bigint) IS
  'A user''s unit vector in a model version (NULL: the active one), from the interactions visible now: the stored sum plus what came since, or folded in from all of them. No row: nothing is known of the user.';
