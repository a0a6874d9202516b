CREATE OR REPLACE FUNCTION recs.refresh_popularity(p_until timestamptz DEFAULT 'infinity')
RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, recs, pg_temp
SET jit = off
-- All interactions are read once. Of tables that were not analyzed yet the planner expects a handful of
-- rows, and would read them again for every item: a minute where a second will do.
SET enable_nestloop = off
AS $$
DECLARE
  v_tenant text := recs.current_tenant();
  v_half_life double precision;
  v_now timestamptz;
  v_until timestamptz := coalesce(p_until, 'infinity');
  v_rows bigint;
BEGIN
  PERFORM recs.lock_exclusively(recs.popularity_lock(v_tenant), 'deleted or renamed items');
  SELECT CASE WHEN t.popularity_half_life IS NULL AND m.model_id IS NULL THEN 120
              ELSE coalesce(t.popularity_half_life, m.popularity_half_life, m.history_half_life)
         END
    INTO v_half_life
    FROM (VALUES (v_tenant)) n (tenant_id)
    LEFT JOIN recs.tenants t ON t.tenant_id = n.tenant_id
    LEFT JOIN recs.models m ON m.tenant_id = n.tenant_id AND m.state = 'active';
  -- Age is counted from the newest interaction, so that a shop whose data end last year still has
  -- a popularity, and so that the order does not depend on when the refresh ran. But not from one
  -- that is yet to come: beside a date mistyped by a century all others would be equally old.
  SELECT least(max(i.occurred_at), now()) INTO v_now FROM recs.interactions i
    WHERE i.tenant_id = v_tenant AND i.occurred_at <= v_until;
  DELETE FROM recs.item_popularity p WHERE p.tenant_id = v_tenant;
  INSERT INTO recs.item_popularity (tenant_id, segment, item_id, popularity, support)
  SELECT v_tenant, coalesce(s.segment, ''), s.item_id, sum(s.weight), count(*)
  FROM (
    -- What a user did with an item counts once, by its last time: a wholesaler is one customer.
    SELECT i.item_id, u.segment,
           -- (of weights of before the table had bounds, what has a sum that a real can hold)
           greatest(1e-12, least(1e12, max(i.weight)))
           -- What sold in the season ahead a year ago counts as if sold now, unless what is sold
           -- lasts less than a season; recs/learning/popularity.py says the same.
           * CASE
               WHEN v_half_life >= 140
                 AND max(i.occurred_at) BETWEEN v_now - 385 * interval '24 hours'
                                            AND v_now - 245 * interval '24 hours'
               THEN 1
               ELSE recs.decay(max(i.occurred_at), v_now, v_half_life)
             END AS weight
    FROM recs.interactions i
    LEFT JOIN recs.users u ON u.tenant_id = v_tenant AND u.user_id = i.user_id
    WHERE i.tenant_id = v_tenant AND i.occurred_at <= v_until
      AND EXISTS (SELECT FROM recs.items t  -- an item that was deleted stays forgotten
                  WHERE t.tenant_id = v_tenant AND t.item_id = i.item_id)
    GROUP BY i.user_id, i.item_id, u.segment
  ) s
  GROUP BY GROUPING SETS ((s.item_id), (s.segment, s.item_id))
  HAVING grouping(s.segment) = 1
      OR s.segment <> '' AND octet_length(s.segment) + octet_length(s.item_id) <= 2000;  -- the key holds no more
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  RETURN v_rows;
EXCEPTION WHEN unique_violation THEN
  -- Its snapshot lacks the rows of a refresh that was committed since.
  RAISE EXCEPTION 'popularity was made anew after this transaction began'
    USING ERRCODE = 'serialization_failure', HINT = 'run the transaction again';
END
$$;

COMMENT ON FUNCTION recs.refresh_popularity(timestamptz) IS
  'Compute time-decayed popularity anew, for all users and each segment; returns the number of rows. What sold a year ago in the season ahead counts like what sells now, where the half-life is 140 days or more. Call it from cron, or let `recs load` and `recs train` do it.';
