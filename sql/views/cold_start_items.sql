CREATE OR REPLACE VIEW recs.cold_start_items WITH (security_invoker = true) AS
SELECT
  i.tenant_id,
  i.item_id,
  i.title,
  i.created_at,
  coalesce(p.popularity, 0) / b.popularity AS popularity,
  k.content_similarity,
  k.neighbor_popularity / b.popularity AS neighbor_popularity,
  coalesce(p.support, 0) AS support,
  w.weight,
  (w.weight * coalesce(p.popularity, 0) + (1 - w.weight) * k.neighbor_popularity) / b.popularity
    AS score
FROM recs.models m
JOIN recs.item_embeddings e
  ON e.tenant_id = m.tenant_id AND e.model_id = m.model_id AND e.source = 'content'
JOIN recs.items i ON i.tenant_id = e.tenant_id AND i.item_id = e.item_id AND i.available
LEFT JOIN recs.item_popularity p
  ON p.tenant_id = e.tenant_id AND p.segment = '' AND p.item_id = e.item_id
CROSS JOIN LATERAL (
  -- What sells near it: the learned items most like it in content, each by its similarity.
  SELECT max(n.similarity) AS content_similarity,
         coalesce(sum(greatest(n.similarity, 0) * coalesce(q.popularity, 0))
                  / nullif(sum(greatest(n.similarity, 0)), 0), 0) AS neighbor_popularity
  FROM recs.content_neighbors(e.content_embedding, 20) n
  LEFT JOIN recs.item_popularity q
    ON q.tenant_id = e.tenant_id AND q.segment = '' AND q.item_id = n.item_id
) k
CROSS JOIN LATERAL (
  SELECT r.popularity FROM recs.item_popularity r
  WHERE r.tenant_id = e.tenant_id AND r.segment = '' ORDER BY r.popularity DESC LIMIT 1
) b
CROSS JOIN LATERAL (
  SELECT coalesce(p.support, 0) / (coalesce(p.support, 0) + 5.0) AS weight
) w
WHERE m.state = 'active' AND m.tenant_id = (SELECT recs.current_tenant());

COMMENT ON VIEW recs.cold_start_items IS
  'Items that the active model has not learned: score = weight * popularity + (1 - weight) * neighbor_popularity, weight = n / (n + 5), n the distinct users since. Ask with WHERE item_id = .., or ORDER BY score DESC LIMIT k for the arrivals most likely to sell.';
