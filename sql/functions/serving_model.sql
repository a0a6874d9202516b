CREATE OR REPLACE FUNCTION recs.serving_model(p_user_id text) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path FROM CURRENT
RETURN (
  SELECT coalesce(t.model_id, a.model_id)
  FROM recs.models a
  LEFT JOIN recs.models t
    ON t.tenant_id = a.tenant_id AND t.trial_share IS NOT NULL
    AND recs.is_in_trial(p_user_id, t.model_id, t.trial_share)
  WHERE a.tenant_id = recs.current_tenant() AND a.state = 'active');

COMMENT ON FUNCTION recs.serving_model(text) IS
  'The model version that recs.recommend answers a user by: the active one, or the one on trial if the user is of its share; NULL without an active one.';
