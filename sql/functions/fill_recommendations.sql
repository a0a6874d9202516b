CREATE OR REPLACE FUNCTION recs.fill_recommendations(
  p_user_id text,
  p_k integer,
  p_include_seen boolean DEFAULT false,
  p_filter jsonb DEFAULT NULL,
  p_candidates text[] DEFAULT NULL,
  p_exclude text[] DEFAULT NULL,
  p_already text[] DEFAULT '{}'
) RETURNS TABLE (item_id text, score real, rank integer, tier text, reason text)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path FROM CURRENT
SET jit = off
-- Follow the order of popularity, then of newness, each by its index, and stop at k; never sort or
-- keep the catalog, whatever the planner thinks of tables that were not analyzed yet.
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_sort = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
  v_tenant text := recs.current_tenant();
  v_already text[] := coalesce(p_already, '{}');
  v_segment text := (SELECT u.segment FROM recs.users u
                     WHERE u.tenant_id = v_tenant AND u.user_id = p_user_id);
  v_restricted boolean := p_filter IS NOT NULL OR p_candidates IS NOT NULL;
  v_few text[] := CASE WHEN p_candidates IS NULL AND p_filter IS NOT NULL
    THEN recs.few_matching_items(p_filter, 300) ELSE p_candidates END;
  v_strict boolean;
  v_walk bigint;
BEGIN
  IF v_restricted THEN
    v_walk := greatest(1000, 50 * p_k) + cardinality(v_already) + coalesce(cardinality(p_exclude), 0);
    IF NOT p_include_seen THEN
      v_walk := v_walk + (SELECT count(*) FROM recs.interactions s
                          WHERE s.tenant_id = v_tenant AND s.user_id = p_user_id);
    END IF;
  END IF;
  -- Popular items are walked, then the newest. Where under k of so many pass, the filter is strict:
  -- the rest of what passes is looked up and sorted. Where few pass, that comes first.
  FOREACH v_strict IN ARRAY CASE
    WHEN NOT v_restricted THEN '{false}'
    WHEN cardinality(v_few) <= 300 THEN '{true}'
    ELSE '{false, true}' END::boolean[]
  LOOP
    -- The branches run one after the other, each only as far as rows are still missing.
    FOR item_id, score, tier, reason IN
      WITH candidates AS MATERIALIZED (
        (SELECT 1 AS n, p.item_id, p.popularity, p.support, NULL::timestamptz AS created_at
         FROM recs.item_popularity p
         WHERE NOT v_strict AND p.tenant_id = v_tenant AND p.segment = nullif(v_segment, '')
         ORDER BY p.popularity DESC, p.item_id)
        UNION ALL
        (SELECT 2, p.item_id, p.popularity, p.support, NULL
         FROM recs.item_popularity p
         WHERE NOT v_strict AND p.tenant_id = v_tenant AND p.segment = ''
           AND NOT EXISTS (
             SELECT FROM recs.item_popularity g
             WHERE g.tenant_id = v_tenant AND g.segment = nullif(v_segment, '')
               AND g.item_id = p.item_id
             OFFSET 0)  -- a lookup, not a join
         ORDER BY p.popularity DESC, p.item_id)
        UNION ALL
        (SELECT 3, i.item_id, 0, 0, i.created_at
         FROM recs.items i
         WHERE NOT v_strict AND i.tenant_id = v_tenant
           AND NOT EXISTS (
             SELECT FROM recs.item_popularity p
             WHERE p.tenant_id = v_tenant AND p.segment = '' AND p.item_id = i.item_id
             OFFSET 0)
         ORDER BY i.created_at DESC, i.item_id)
        UNION ALL
        -- The same order among the few that pass, without a walk through everything.
        (SELECT tier.n, m.item_id, coalesce(g.popularity, p.popularity, 0),
                coalesce(g.support, p.support, 0), CASE tier.n WHEN 3 THEN i.created_at END
         FROM recs.matching_items(p_filter, p_candidates) m (item_id)
         JOIN recs.items i ON i.tenant_id = v_tenant AND i.item_id = m.item_id
         LEFT JOIN recs.item_popularity g
           ON g.tenant_id = v_tenant AND g.segment = nullif(v_segment, '') AND g.item_id = m.item_id
         LEFT JOIN recs.item_popularity p
           ON p.tenant_id = v_tenant AND p.segment = '' AND p.item_id = m.item_id
         CROSS JOIN LATERAL (
           SELECT CASE WHEN g.item_id IS NOT NULL THEN 1 WHEN p.item_id IS NOT NULL THEN 2 ELSE 3 END
         ) tier (n)
         WHERE v_strict
         ORDER BY 1, 3 DESC, 5 DESC, 2)
        LIMIT CASE WHEN NOT v_strict THEN v_walk END
      ), filled AS MATERIALIZED (
        SELECT c.*
        FROM candidates c
        -- OFFSET 0: asked of one candidate after the other. A plain join may begin with the items,
        -- and the order of the candidates would be lost.
        CROSS JOIN LATERAL (
          SELECT
          FROM recs.items i
          WHERE i.tenant_id = v_tenant AND i.item_id = c.item_id AND i.available
            AND (p_filter IS NULL OR i.attributes @> p_filter)
            AND (p_include_seen OR NOT EXISTS (
              SELECT FROM recs.interactions s
              WHERE s.tenant_id = v_tenant AND s.user_id = p_user_id AND s.item_id = c.item_id))
          OFFSET 0) eligible
        WHERE c.item_id <> ALL (v_already)
          AND (p_candidates IS NULL OR c.item_id IN (SELECT unnest(p_candidates)))
          AND (p_exclude IS NULL OR c.item_id NOT IN (SELECT unnest(array_remove(p_exclude, NULL))))
        LIMIT p_k - cardinality(v_already)
      )
      SELECT f.item_id, f.popularity::real,
             (ARRAY['segment_popularity', 'popularity', 'catalog'])[f.n],
             CASE f.n
               WHEN 1 THEN format('popular in %s: %s', v_segment, f.users)
               WHEN 2 THEN format('popular: %s', f.users)
               ELSE 'new in the catalog'
             END
      FROM (SELECT c.*, c.support || CASE c.support WHEN 1 THEN ' user' ELSE ' users' END AS users
            FROM filled c) f
      ORDER BY f.n, f.popularity DESC, f.created_at DESC, f.item_id
    LOOP
      v_already := v_already || item_id;
      rank := cardinality(v_already);
      RETURN NEXT;
    END LOOP;
    EXIT WHEN cardinality(v_already) >= p_k;
  END LOOP;
END
$$;

COMMENT ON FUNCTION recs.fill_recommendations(text, integer, boolean, jsonb, text[], text[], text[]) IS
  'What recommend() answers where no vector does, and where vectors gave fewer than k rows: popular in the user''s segment, popular, then items nobody has touched, newest first.';
