CREATE OR REPLACE FUNCTION recs.create_user_functions(p_model_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path FROM CURRENT
AS $function$
BEGIN
  -- The number of the version stands in the queries as a constant: a plan for whichever version may
  -- come would lock the partitions of all, at every call.
  PERFORM recs.create_reader_function('stored_user_' || p_model_id, format($create$(
  p_tenant_id text, p_user_id text, p_model recs.models
) RETURNS vector
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path FROM CURRENT
SET jit = off
SET plan_cache_mode = force_generic_plan
AS $body$
BEGIN
  RETURN (
    SELECT l2_normalize(recs.blend_user(u.history, u.support, p_model))
    FROM recs.user_embeddings u
    WHERE u.tenant_id = p_tenant_id AND u.model_id = %1$s AND u.user_id = p_user_id
      AND u.fingerprint = (
        SELECT sum(hashtext(i.item_id)::bigint) FROM recs.interactions i
        WHERE i.tenant_id = p_tenant_id AND i.user_id = p_user_id));
END
$body$
$create$, p_model_id),
    'A user''s vector in model version ' || p_model_id || ' by the stored sum, NULL where it no longer fits; made by recs.create_user_functions.');
  PERFORM recs.create_reader_function('user_history_' || p_model_id, format($create$(
  p_tenant_id text, p_user_id text, p_model recs.models, p_fingerprint bigint,
  OUT stored vector, OUT stored_support integer, OUT added vector, OUT added_support integer
)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path FROM CURRENT
SET jit = off
SET plan_cache_mode = force_generic_plan
-- A lookup for each item of a history, which are few, whatever the catalog holds.
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $body$
DECLARE
  v_fits boolean;
BEGIN
  -- The stored sum stands for the interactions it was made of. Where one of those was deleted, or
  -- one came late, the sum is made anew from all of them.
  SELECT u.history, u.support INTO stored, stored_support
    FROM recs.user_embeddings u
    WHERE u.tenant_id = p_tenant_id AND u.model_id = %1$s AND u.user_id = p_user_id
      AND u.fingerprint = p_fingerprint;
  v_fits := FOUND;
  -- An item counts by its last time and its largest weight, however often it was touched.
  WITH history AS (
    SELECT i.item_id, max(i.occurred_at) AS last, max(i.weight) AS weight,
           max(i.weight) FILTER (WHERE v_fits AND i.occurred_at <= p_model.trained_until)
             AS weight_before,
           max(i.occurred_at) FILTER (WHERE v_fits AND i.occurred_at <= p_model.trained_until)
             AS before
    FROM recs.interactions i
    WHERE i.tenant_id = p_tenant_id AND i.user_id = p_user_id
    GROUP BY i.item_id
  ), weighted AS (
    SELECT e.history_embedding::vector AS p, h.before IS NULL AS is_new,
           h.weight * recs.decay(h.last, p_model.trained_until, p_model.history_half_life)
           - coalesce(h.weight_before * recs.decay(
               h.before, p_model.trained_until, p_model.history_half_life), 0) AS weight
    FROM history h
    JOIN recs.item_embeddings e
      ON e.tenant_id = p_tenant_id AND e.model_id = %1$s AND e.item_id = h.item_id
    WHERE h.last IS DISTINCT FROM h.before
  )
  -- What is as good as nothing is nothing: its product with a vector could be held by no real.
  SELECT sum(array_fill((CASE WHEN abs(w.weight) >= 1e-36 THEN w.weight ELSE 0 END)::real, ARRAY[p_model.dimension])::vector * w.p),
         count(*) FILTER (WHERE w.is_new)
    INTO added, added_support
    FROM weighted w;
END
$body$
$create$, p_model_id),
    'The stored sum of a user in model version ' || p_model_id || ', NULL where it does not fit the fingerprint, and what has to be added to it; made by recs.create_user_functions.');
END
$function$;

COMMENT ON FUNCTION recs.create_user_functions(bigint) IS
  'Create the functions that read a user of one model version; publishing calls it.';

SELECT recs.create_user_functions(m.model_id)
FROM recs.models m WHERE m.state IN ('ready', 'active', 'retired');
