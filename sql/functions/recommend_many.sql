CREATE OR REPLACE FUNCTION recs.recommend_many(
  p_user_ids text[],
  p_k integer DEFAULT 10,
  p_include_seen boolean DEFAULT false,
  p_filter jsonb DEFAULT NULL,
  p_candidates text[] DEFAULT NULL,
  p_exclude text[] DEFAULT NULL
) RETURNS TABLE (user_id text, item_id text, score real, rank integer, tier text, reason text)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT u.user_id, r.item_id, r.score, r.rank, r.tier, r.reason
  FROM (SELECT a.user_id FROM unnest(p_user_ids) WITH ORDINALITY a (user_id, n)
        GROUP BY a.user_id ORDER BY min(a.n)) u
  CROSS JOIN LATERAL recs.recommend(
    u.user_id, p_k, p_include_seen, p_filter, p_candidates, p_exclude) r;
END;

COMMENT ON FUNCTION recs.recommend_many(text[], integer, boolean, jsonb, text[], text[]) IS
  'recommend() for many users in one round trip, for each once.';
