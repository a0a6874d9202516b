CREATE OR REPLACE FUNCTION recs.create_serving_function(p_model_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path FROM CURRENT
AS $function$
DECLARE
  v_dimension integer;
  v_learned bigint;
  v_exactly boolean;
  v_learned_distance text;
  v_indexed text;  -- the distance by which the index is ordered
  v_exact text := 'v.embedding <#> p_embedding';
  v_vectors text := 'recs.item_embeddings v';
  v_matching text := '(SELECT recs.matching_items(p_filter, NULL) WHERE p_candidates IS NULL
                    UNION ALL
                    SELECT DISTINCT unnest(p_candidates)) m (item_id)
              JOIN recs.item_embeddings v USING (item_id)';
  v_candidates text := '(SELECT DISTINCT u.item_id FROM unnest(v_candidates) u (item_id)) c
              JOIN recs.item_embeddings v USING (item_id)';
  v_join text := 'JOIN recs.items i ON i.tenant_id = p_tenant_id AND i.item_id = e.item_id
        WHERE i.available AND (p_filter IS NULL OR i.attributes @> p_filter)
          AND (p_candidates IS NULL OR e.item_id IN (SELECT unnest(p_candidates)))';
  -- Where so many of the nearest are looked at in vain, the filter is strict.
  v_nearest text := 'ORDER BY distance
              LIMIT CASE WHEN p_filter IS NOT NULL OR p_candidates IS NOT NULL
                THEN greatest(500, 20 * p_k) END';
  v_sorted text := 'ORDER BY distance OFFSET 0';
  v_learned_nearest text := v_nearest;
  v_search text := $search$
        SELECT e.item_id, e.embedding, e.distance
        FROM (SELECT v.item_id, v.embedding, %2$s AS distance
              FROM %4$s
              WHERE v.model_id = %1$s AND v.tenant_id = p_tenant_id AND %3$s) e
        %5$s
          AND (p_exclude IS NULL OR e.item_id NOT IN (SELECT unnest(array_remove(p_exclude, NULL))))
          AND (p_include_seen OR NOT EXISTS (
            SELECT FROM recs.interactions s
            WHERE s.tenant_id = p_tenant_id AND s.user_id = p_user_id AND s.item_id = e.item_id))
        ORDER BY e.distance
        LIMIT p_k$search$;
  v_ranked text := $ranked$
    ), ranked AS MATERIALIZED (
      SELECT row_number() OVER (ORDER BY f.distance, f.item_id) AS rank, f.*
      FROM found f
      ORDER BY f.distance, f.item_id
      LIMIT p_k
    ), recent AS MATERIALIZED (
      SELECT h.history_embedding, left(coalesce(nullif(t.title, ''), t.item_id), 200) AS title
      -- Of the last events some may be with items that were deleted, or that the version lacks.
      FROM (SELECT x.item_id, x.occurred_at FROM recs.interactions x
            WHERE x.tenant_id = p_tenant_id AND x.user_id = p_user_id
            ORDER BY x.occurred_at DESC LIMIT 50) l
      JOIN recs.item_embeddings h
        ON h.model_id = %1$s AND h.tenant_id = p_tenant_id AND h.item_id = l.item_id
      JOIN recs.items t ON t.tenant_id = p_tenant_id AND t.item_id = l.item_id
      ORDER BY l.occurred_at DESC LIMIT 3
    )
    -- The reason: of the last items the user touched, the one that pulls hardest to this one.
    SELECT DISTINCT ON (f.rank) f.item_id, (-f.distance)::real,
           coalesce('because of ' || r.title, 'because of earlier interactions')
    FROM ranked f
    LEFT JOIN recent r ON true
    ORDER BY f.rank, r.history_embedding <#> f.embedding;$ranked$;
BEGIN
  SELECT m.dimension, m.exact_search INTO STRICT v_dimension, v_exactly
    FROM recs.models m WHERE m.model_id = p_model_id;
  v_indexed := format('v.embedding::halfvec(%s) <#> p_embedding', v_dimension);
  v_learned_distance := v_indexed;
  IF v_exactly THEN
    v_learned_distance := v_exact;
    v_learned_nearest := 'ORDER BY distance LIMIT greatest(500, 20 * p_k)';  -- sort no more than that
  END IF;
  SELECT count(*) INTO v_learned FROM recs.item_embeddings e
    WHERE e.model_id = p_model_id AND e.source = 'interactions';
  -- The index of a version is on a cast to its dimension, which must stand in the query as a
  -- constant. In a function of the version's own it does, and the plan is made once a session;
  -- planning the same query by EXECUTE at every call costs more than running it.
  PERFORM recs.create_reader_function('nearest_items_' || p_model_id, format($create$(
  p_tenant_id text, p_user_id text, p_embedding halfvec, p_k integer, p_include_seen boolean,
  p_filter jsonb, p_candidates text[] DEFAULT NULL, p_exclude text[] DEFAULT NULL
) RETURNS TABLE (item_id text, score real, reason text)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 10
SET search_path FROM CURRENT
-- To compile it takes a hundred times as long as to run it; and up to PostgreSQL 17 a plan that has
-- what is turned off below counts as so dear that it would be, at every call.
SET jit = off
SET hnsw.ef_search = 200
SET hnsw.iterative_scan = strict_order
SET hnsw.max_scan_tuples = %2$s
-- One plan for every user: follow the index in order of distance, stop at k rows that pass.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_sort = off
AS $body$
#variable_conflict use_column
DECLARE
  v_few_new boolean := NOT EXISTS (
    SELECT FROM recs.item_embeddings e
    WHERE e.model_id = %1$s AND e.tenant_id = p_tenant_id AND e.source = 'content'
    OFFSET 1000);
  -- So few that under k of them are expected among the nearest that are looked at are compared one by
  -- one. Of what passes a filter no more than a thousand are looked up to know.
  v_few bigint := (p_k * %10$s::bigint - 1) / greatest(500, 20 * p_k);
  v_candidates text[] := CASE WHEN p_candidates IS NULL AND p_filter IS NOT NULL
    THEN recs.few_matching_items(p_filter, least(v_few, 1000)::integer) ELSE p_candidates END;
BEGIN
  -- A query of its own: what the other has to start takes longer than the search.
  IF cardinality(v_candidates) <= v_few THEN
    RETURN QUERY
    WITH found AS MATERIALIZED (%8$s%9$s
    RETURN;
  END IF;
  RETURN QUERY
    -- Learned items and new ones have an index each: placed by content alone, new ones lie so
    -- close together that a search among all of them would not find its way. Even in their own
    -- index some hide behind others of like content, so while they are few all are looked at.
    WITH learned AS MATERIALIZED (%3$s
    ), new AS MATERIALIZED (%4$s
    ), found AS MATERIALIZED (
      SELECT * FROM learned WHERE (SELECT count(*) FROM learned) = p_k
      UNION ALL
      SELECT * FROM new WHERE (SELECT count(*) FROM new) = p_k
      UNION ALL
      (%5$s)
      UNION ALL
      -- An index scan gives up after hnsw.max_scan_tuples. Where few items pass, search those.
      (%6$s)
      UNION ALL
      (%7$s)%9$s
END
$body$
$create$, p_model_id,
    -- Once half of the items are visited, looking at all costs no more than what was spent.
    greatest(1000, least(20000, v_learned / 2)),
    format(v_search, p_model_id, v_learned_distance, $$v.source = 'interactions' $$ || v_learned_nearest,
      v_vectors, v_join),
    format(v_search, p_model_id, v_indexed, $$v.source = 'content' AND NOT v_few_new $$ || v_nearest,
      v_vectors, v_join),
    -- In order of distance first: only what comes near enough is joined.
    format(v_search, p_model_id, v_exact, $$v.source = 'content' AND v_few_new $$ || v_sorted,
      v_vectors, v_join),
    format(v_search, p_model_id, v_exact, $$v.source = 'interactions'
                AND (SELECT count(*) FROM learned) < p_k $$ || v_sorted, v_matching, v_join),
    format(v_search, p_model_id, v_exact, $$v.source = 'content' AND NOT v_few_new
                AND (SELECT count(*) FROM new) < p_k $$ || v_sorted, v_matching, v_join),
    format(v_search, p_model_id, v_exact, 'true ' || v_sorted, v_candidates, v_join),
    format(v_ranked, p_model_id),
    v_learned),
    'The items of model version ' || p_model_id || ' nearest to a user vector; made by recs.create_serving_function.');
END
$function$;

COMMENT ON FUNCTION recs.create_serving_function(bigint) IS
  'Create the function that searches the index of one model version; publishing calls it.';

SELECT recs.create_serving_function(m.model_id)
FROM recs.models m WHERE m.state IN ('ready', 'active', 'retired');
