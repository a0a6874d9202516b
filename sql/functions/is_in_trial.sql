CREATE OR REPLACE FUNCTION recs.is_in_trial(p_user_id text, p_model_id bigint, p_share real)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
-- By 31 bits of a hash, other ones for each version: else the same users would try them all.
RETURN (hashtextextended(p_user_id, p_model_id) & 2147483647) < p_share * 2147483648.0::float8;

COMMENT ON FUNCTION recs.is_in_trial(text, bigint, real) IS
  'Whether a user is of the share that a version on trial serves: always the same ones, and of a larger share these and more.';
