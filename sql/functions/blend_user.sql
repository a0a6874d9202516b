CREATE OR REPLACE FUNCTION recs.blend_user(
  p_history vector,
  p_support integer,
  p_tower_dimension integer,
  p_tower_weight double precision,
  p_tower_support double precision,
  p_low_pass_dimension integer,
  p_low_pass_support double precision,
  p_popularity_weight double precision
) RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
  -- The parts of a vector: two-tower model, associations (a low-pass filter first), popularity,
  -- newness, filling. A user of n items asks for them in the weights below; see recs.learning.blend.
  SELECT CASE WHEN p_tower_dimension IS NULL OR p_history IS NULL THEN p_history ELSE
    array_fill((p_tower_weight * b.share)::real, ARRAY[p_tower_dimension])::vector
      * l2_normalize(subvector(p_history, 1, p_tower_dimension))
    || l2_normalize(b.associations)
    || ARRAY[(p_popularity_weight * 10 / (p_support + 10)
              / greatest(vector_norm(b.associations), 1e-6))::real, 1, 0]::vector END
  FROM (
    SELECT p_support / (p_support + p_tower_support) AS share,
           CASE WHEN p_tower_dimension IS NOT NULL AND p_history IS NOT NULL THEN
             subvector(p_history, p_tower_dimension + 1, a.dimension)
               * (array_fill((p_low_pass_support / (p_support + p_low_pass_support))::real,
                             ARRAY[p_low_pass_dimension])
                  || array_fill(1::real, ARRAY[a.dimension - p_low_pass_dimension]))::vector
           END AS associations
    FROM (SELECT vector_dims(p_history) - p_tower_dimension - 3 AS dimension) a
  ) b
$$;

COMMENT ON FUNCTION recs.blend_user(vector, integer, integer, double precision, double precision, integer, double precision, double precision) IS
  'What a user looks for, from the sum of what their n known items say, in the weights of a model version. Not normalised: its inner product with an item is the score times the version''s embedding_scale.';
