CREATE OR REPLACE FUNCTION recs.decay(
  p_occurred_at timestamptz, p_reference timestamptz, p_half_life double precision
) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN p_occurred_at IS NULL THEN NULL
  WHEN p_half_life IS NULL THEN 1
  -- What is newer than the reference counts 1, and powers stay inside what a real can hold, whatever
  -- dates an application sends.
  ELSE 0.5 ^ greatest(0, least(100,
    extract(epoch FROM p_reference - p_occurred_at)::double precision / (86400 * p_half_life)))
END;

COMMENT ON FUNCTION recs.decay(timestamptz, timestamptz, double precision) IS
  'What an interaction counts by its age: 0.5 ^ (days before the reference / half-life in days), at most 1; a half-life of NULL: always 1.';
