CREATE OR REPLACE FUNCTION recs.recommend(
  p_user_id text,
  p_k integer DEFAULT 10,
  p_include_seen boolean DEFAULT false,
  p_filter jsonb DEFAULT NULL,
  p_candidates text[] DEFAULT NULL,
  p_exclude text[] DEFAULT NULL
) RETURNS TABLE (item_id text, score real, rank integer, tier text, reason text)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 10
SET search_path FROM CURRENT
SET jit = off  -- see create_serving_function
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_variable
DECLARE
  v_tenant text := recs.current_tenant();
  v_model recs.models;
  v_trial recs.models;
  v_embedding vector;
  v_stored boolean := true;
  v_items text[] := '{}';
BEGIN
  IF p_k IS NULL OR p_k NOT BETWEEN 1 AND 1000 THEN
    PERFORM recs.check_k(p_k);
  END IF;
  IF jsonb_typeof(p_filter) <> 'object' THEN
    PERFORM recs.check_filter(p_filter);
  END IF;
  -- Most users did nothing since training: their stored sum, if it still fits, is all it takes.
  SELECT * INTO v_model FROM recs.models m WHERE m.tenant_id = v_tenant AND m.state = 'active';
  IF FOUND THEN
    SELECT * INTO v_trial FROM recs.models m WHERE m.tenant_id = v_tenant AND m.trial_share IS NOT NULL;
    IF FOUND AND recs.is_in_trial(p_user_id, v_trial.model_id, v_trial.trial_share) THEN
      v_model := v_trial;
    END IF;
    EXECUTE format('SELECT recs.%I($1, $2, $3)', 'stored_user_' || v_model.model_id)
      INTO v_embedding USING v_tenant, p_user_id, v_model;
    IF v_embedding IS NULL THEN
      SELECT u.embedding, u.stored INTO v_embedding, v_stored
        FROM recs.user_vector(p_user_id, v_model.model_id) u;
    END IF;
  END IF;
  IF v_embedding IS NOT NULL THEN
    tier := CASE WHEN v_stored THEN 'model' ELSE 'fold_in' END;
    FOR item_id, score, reason IN EXECUTE
      format('SELECT * FROM recs.%I($1, $2, $3, $4, $5, $6, $7, $8)',
             'nearest_items_' || v_model.model_id)
      USING v_tenant, p_user_id, v_embedding::halfvec, p_k, p_include_seen, p_filter,
        p_candidates, p_exclude
    LOOP
      v_items := v_items || item_id;
      rank := cardinality(v_items);
      RETURN NEXT;
    END LOOP;
  END IF;
  IF cardinality(v_items) < p_k THEN
    RETURN QUERY
      SELECT * FROM recs.fill_recommendations(
        p_user_id, p_k, p_include_seen, p_filter, p_candidates, p_exclude, v_items);
  END IF;
END
$$;

COMMENT ON FUNCTION recs.recommend(text, integer, boolean, jsonb, text[], text[]) IS
  'The k best items for a user, best first, never fewer while k eligible items exist: by the model vector and what the user did since training; folded in from first events; by popularity in the segment; by popularity. Reads only. p_filter: only items whose attributes contain it. p_candidates: only these items. p_exclude: none of these.';
