CREATE OR REPLACE FUNCTION recs.fill_norm(p_vector vector) RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
  SELECT l2_normalize(p_vector || ARRAY[sqrt(greatest(0, 1 - vector_norm(p_vector) ^ 2))]::vector)
$$;

COMMENT ON FUNCTION recs.fill_norm(vector) IS
  'A vector with one coordinate more, so that its norm is 1: users have 0 there, so inner products stay as they are (Bachrach et al. 2014). Longer vectors are shortened.';
