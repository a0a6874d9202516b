CREATE OR REPLACE FUNCTION recs.cold_start_vector(
  p_user_id text, p_model_id bigint DEFAULT NULL
) RETURNS TABLE (history vector, embedding vector, support integer, weight double precision)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_tenant text := recs.current_tenant();
  v_model record;
BEGIN
  SELECT m.model_id, m.cold_start_dimension, m.cold_start_kappa, m.cold_start_half_life,
         m.trained_until INTO v_model
    FROM recs.models m
    WHERE m.tenant_id = v_tenant AND m.cold_start_dimension IS NOT NULL
      AND CASE WHEN p_model_id IS NULL THEN m.state = 'active' ELSE m.model_id = p_model_id END;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  RETURN QUERY
    WITH seen AS (
      SELECT i.item_id,
             max(i.weight)
             * recs.decay(max(i.occurred_at), v_model.trained_until, v_model.cold_start_half_life)
               AS weight
      FROM recs.interactions i
      WHERE i.tenant_id = v_tenant AND i.user_id = p_user_id
      GROUP BY i.item_id
    ), summed AS (
      SELECT sum(array_fill(s.weight::real, ARRAY[v_model.cold_start_dimension])::vector
                 * e.cold_start_history::vector) AS history,
             count(*)::integer AS support, sum(s.weight) AS weight
      FROM seen s
      JOIN recs.item_embeddings e
        ON e.tenant_id = v_tenant AND e.model_id = v_model.model_id AND e.item_id = s.item_id
       AND e.cold_start_history IS NOT NULL
    )
    -- The space is (associations, popularity, filling): kappa stands where popularity does.
    SELECT s.history,
           l2_normalize(s.history + (array_fill(0::real, ARRAY[v_model.cold_start_dimension - 2])
             || ARRAY[v_model.cold_start_kappa::real, 0::real])::vector),
           s.support, s.weight
    FROM summed s
    WHERE s.support > 0;
END
$$;

COMMENT ON FUNCTION recs.cold_start_vector(text, bigint) IS
  'A user in the cold-start space of a model version (NULL: the active one), from the interactions visible now. No row: nothing is known of the user.';
