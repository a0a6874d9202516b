CREATE OR REPLACE FUNCTION recs.limit_norm(p_vector vector) RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
  SELECT p_vector * array_fill((1 / greatest(1, vector_norm(p_vector)))::real,
                               ARRAY[vector_dims(p_vector)])::vector
$$;

COMMENT ON FUNCTION recs.limit_norm(vector) IS
  'A vector, shortened to norm 1 if it is longer: no item placed by its content may outshine those that are learned.';
