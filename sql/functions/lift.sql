CREATE OR REPLACE FUNCTION recs.lift(p_vector vector) RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
  SELECT subvector(p_vector, 1, d.n - 1)
         || ARRAY[sqrt(greatest(0, 1 - vector_norm(subvector(p_vector, 1, d.n - 1)) ^ 2))]::vector
  FROM (SELECT vector_dims(p_vector) AS n) d
$$;

COMMENT ON FUNCTION recs.lift(vector) IS
  'A vector of the cold-start space with its last coordinate set so that the norm is 1, which orders inner products as the others alone do (Bachrach et al. 2014).';
