CREATE OR REPLACE FUNCTION recs.create_serving_function(p_model_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path FROM CURRENT
AS $$
DECLARE
  v_model record;
  v_space record;
  v_old regprocedure;
BEGIN
  SELECT m.dimension, m.cold_start_dimension INTO STRICT v_model
    FROM recs.models m WHERE m.model_id = p_model_id;
  -- The index of a version is on a cast to its dimension, which must stand in the query as a
  -- constant. In a function of the version's own it does, and the plan is made once a session;
  -- planning the same query by EXECUTE at every call costs more than running it.
  FOR v_space IN
    SELECT s.* FROM (VALUES
      ('nearest_items_' || p_model_id, v_model.dimension, 'embedding', 'history_embedding', 200),
      ('nearest_cold_start_items_' || p_model_id, v_model.cold_start_dimension,
       -- Lifted vectors lie close together, so a narrow search would miss some.
       'cold_start_embedding', 'cold_start_history', 400)) s (name, dimension, embedding, history, ef_search)
    WHERE s.dimension IS NOT NULL
  LOOP
    FOR v_old IN
      SELECT p.oid FROM pg_proc p
      WHERE p.pronamespace = 'recs'::regnamespace AND p.proname = v_space.name
    LOOP
      EXECUTE format('DROP FUNCTION %s', v_old);  -- an earlier release may have had other arguments
    END LOOP;
    EXECUTE format($create$
CREATE FUNCTION recs.%3$s(
  p_tenant_id text, p_user_id text, p_embedding halfvec, p_k integer, p_include_seen boolean,
  p_filter jsonb, p_exact boolean, p_already text[]
) RETURNS TABLE (item_id text, score real, reason text)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path FROM CURRENT
SET hnsw.ef_search = %6$s
SET hnsw.iterative_scan = strict_order
-- One plan for every user: follow the index in order of distance, stop at k rows that pass.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_sort = off
AS $body$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    WITH found AS MATERIALIZED (
      (SELECT e.item_id, e.%4$I AS embedding, -(e.%4$I::halfvec(%2$s) <#> p_embedding) AS score
       FROM recs.item_embeddings e
       JOIN recs.items i ON i.tenant_id = e.tenant_id AND i.item_id = e.item_id
       WHERE NOT p_exact AND e.model_id = %1$s AND e.tenant_id = p_tenant_id AND i.available
         AND (p_filter IS NULL OR i.attributes @> p_filter)
         AND (p_include_seen OR NOT EXISTS (
           SELECT FROM recs.interactions s
           WHERE s.tenant_id = p_tenant_id AND s.user_id = p_user_id AND s.item_id = e.item_id))
       ORDER BY e.%4$I::halfvec(%2$s) <#> p_embedding
       LIMIT p_k)
      UNION ALL
      (SELECT e.item_id, e.%4$I AS embedding, -(e.%4$I <#> p_embedding)
       FROM recs.item_embeddings e
       JOIN recs.items i ON i.tenant_id = e.tenant_id AND i.item_id = e.item_id
       WHERE p_exact AND e.item_id <> ALL (p_already) AND e.model_id = %1$s AND e.tenant_id = p_tenant_id AND i.available
         AND (p_filter IS NULL OR i.attributes @> p_filter)
         AND (p_include_seen OR NOT EXISTS (
           SELECT FROM recs.interactions s
           WHERE s.tenant_id = p_tenant_id AND s.user_id = p_user_id AND s.item_id = e.item_id))
       ORDER BY e.%4$I <#> p_embedding
       LIMIT p_k)
    ), ranked AS (
      SELECT row_number() OVER () AS rank, f.* FROM found f
    ), recent AS MATERIALIZED (
      SELECT h.%5$I AS history_embedding, coalesce(nullif(t.title, ''), t.item_id) AS title
      FROM (SELECT x.item_id FROM recs.interactions x
            WHERE x.tenant_id = p_tenant_id AND x.user_id = p_user_id
            ORDER BY x.occurred_at DESC LIMIT 3) l
      JOIN recs.item_embeddings h
        ON h.model_id = %1$s AND h.tenant_id = p_tenant_id AND h.item_id = l.item_id
      JOIN recs.items t ON t.tenant_id = p_tenant_id AND t.item_id = l.item_id
    )
    -- The reason: of the last items the user touched, the one that pulls hardest to this one.
    SELECT DISTINCT ON (f.rank) f.item_id, f.score::real, 'because of ' || r.title
    FROM ranked f
    LEFT JOIN recent r ON true
    ORDER BY f.rank, r.history_embedding <#> f.embedding;
END
$body$
$create$, p_model_id, v_space.dimension, v_space.name, v_space.embedding, v_space.history,
      v_space.ef_search);
    EXECUTE format('COMMENT ON FUNCTION recs.%I IS %L', v_space.name,
      'The items of model version ' || p_model_id || ' nearest to a user vector; made by recs.create_serving_function.');
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'recs_reader') THEN
      EXECUTE format('REVOKE ALL ON FUNCTION recs.%I FROM PUBLIC', v_space.name);
      EXECUTE format('GRANT EXECUTE ON FUNCTION recs.%I TO recs_reader', v_space.name);
    END IF;
  END LOOP;
END
$$;

COMMENT ON FUNCTION recs.create_serving_function(bigint) IS
  'Create the functions that search the indexes of one model version; publishing calls it.';

SELECT recs.create_serving_function(m.model_id)
FROM recs.models m WHERE m.state IN ('ready', 'active', 'retired');
