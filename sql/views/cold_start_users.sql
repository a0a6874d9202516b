CREATE OR REPLACE VIEW recs.cold_start_users WITH (security_invoker = true) AS
SELECT
  u.tenant_id,
  u.user_id,
  i.item_id,
  i.title,
  k.popularity,
  k.similarity,
  -(e.content_embedding <#> t.content) AS content_similarity,
  v.support,
  k.weight,
  k.weight * k.similarity + (1 - k.weight) * k.popularity AS score
FROM (
  SELECT n.tenant_id, n.user_id FROM recs.users n
  UNION
  SELECT n.tenant_id, n.user_id FROM recs.interactions n
) u
JOIN recs.models m ON m.tenant_id = u.tenant_id AND m.state = 'active'
CROSS JOIN LATERAL recs.user_vector(u.user_id, m.model_id) v
CROSS JOIN LATERAL (
  SELECT recs.blend_user(v.history, v.support, m) AS everything,
         recs.blend_user(v.history, v.support, m, p_with_popularity => false)
           AS all_but_popularity
) b
CROSS JOIN LATERAL (
  SELECT l2_normalize(avg(h.content_embedding::vector))::halfvec AS content
  FROM (SELECT s.item_id FROM recs.interactions s
        WHERE s.tenant_id = u.tenant_id AND s.user_id = u.user_id
        ORDER BY s.occurred_at DESC LIMIT 50) l
  JOIN recs.item_embeddings h
    ON h.tenant_id = u.tenant_id AND h.model_id = m.model_id AND h.item_id = l.item_id
) t
CROSS JOIN LATERAL (
  -- Candidates: what is near the user, and what sells. Scored below, with the popularity of now.
  (SELECT n.item_id FROM recs.nearest_items(u.user_id, v.embedding, 200) n)
  UNION
  (SELECT p.item_id FROM recs.item_popularity p
   WHERE p.tenant_id = u.tenant_id AND p.segment = '' ORDER BY p.popularity DESC LIMIT 200)
) c
-- OFFSET 0: looked up for each candidate. Of tables that were not analyzed a plain join may begin with
-- all items, and search for candidates once for each.
CROSS JOIN LATERAL (
  SELECT t.item_id, t.title FROM recs.items t
  WHERE t.tenant_id = u.tenant_id AND t.item_id = c.item_id AND t.available OFFSET 0
) i
CROSS JOIN LATERAL (
  SELECT x.embedding, x.content_embedding FROM recs.item_embeddings x
  WHERE x.tenant_id = u.tenant_id AND x.model_id = m.model_id AND x.item_id = c.item_id OFFSET 0
) e
LEFT JOIN recs.item_popularity p
  ON p.tenant_id = u.tenant_id AND p.segment = '' AND p.item_id = c.item_id
CROSS JOIN LATERAL (
  SELECT coalesce(p.popularity / (SELECT max(b.popularity) FROM recs.item_popularity b
                                  WHERE b.tenant_id = u.tenant_id AND b.segment = ''), 0) AS popularity,
         coalesce(m.embedding_scale, 1)
           * -(e.embedding::vector <#> b.all_but_popularity) AS similarity,
         -- The vectors differ in one coordinate, which popularity is multiplied by.
         1 / (1 + (b.everything <-> b.all_but_popularity)) AS weight
) k
WHERE u.tenant_id = (SELECT recs.current_tenant())
  AND NOT EXISTS (SELECT FROM recs.interactions s
                  WHERE s.tenant_id = u.tenant_id AND s.user_id = u.user_id AND s.item_id = c.item_id);

COMMENT ON VIEW recs.cold_start_users IS
  'For a user with few interactions, what recs.recommend() weighs: score = weight * similarity + (1 - weight) * popularity, popularity of the best seller''s, weight nearer 1 the more is known of the user (see recs.blend_user). Ask for one user: WHERE user_id = .. ORDER BY score DESC LIMIT k. A user of whom nothing is known has no row: see recs.popular_items.';
