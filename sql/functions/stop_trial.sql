CREATE OR REPLACE FUNCTION recs.stop_trial() RETURNS bigint
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path FROM CURRENT
BEGIN ATOMIC
  UPDATE recs.models m SET trial_share = NULL
  WHERE m.tenant_id = recs.current_tenant() AND m.trial_share IS NOT NULL
  RETURNING m.model_id;
END;

COMMENT ON FUNCTION recs.stop_trial() IS
  'Let the active version answer all users again, at commit. Returns the version that was on trial, NULL if none was.';
