CREATE OR REPLACE FUNCTION recs.blend_user(
  p_history vector,
  p_support integer,
  p_model recs.models,
  p_with_popularity boolean DEFAULT true
) RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
  -- The parts of a vector: two-tower model, associations (a low-pass filter first, detail last),
  -- popularity, newness. A user of n items asks for them in the weights below; see
  -- recs.learning.blend, and recs.learning.associations for what fades.
  SELECT CASE WHEN p_model.tower_dimension IS NULL OR p_history IS NULL THEN p_history ELSE
    array_fill((p_model.tower_weight * p_support / (p_support + p_model.tower_support)
                * p_model.tower_fading / (p_support + p_model.tower_fading))::real,
               ARRAY[p_model.tower_dimension])::vector
      * l2_normalize(subvector(p_history, 1, p_model.tower_dimension))
    || l2_normalize(b.associations)
    || ARRAY[CASE WHEN p_with_popularity
               THEN (p_model.popularity_weight * 10 / (p_support + 10)
                     / greatest(vector_norm(b.associations), 1e-6))::real
               ELSE 0 END, 1]::vector END
  FROM (
    SELECT CASE WHEN p_model.tower_dimension IS NOT NULL AND p_history IS NOT NULL THEN
             subvector(p_history, p_model.tower_dimension + 1, a.dimension)
               * (array_fill((p_model.association_support
                              / (p_support + p_model.association_support))::real,
                             ARRAY[p_model.low_pass_dimension])
                  || array_fill(1::real, ARRAY[a.dimension - p_model.low_pass_dimension
                                               - p_model.detail_dimension])
                  || array_fill((p_support / (p_support + p_model.association_support))::real,
                                ARRAY[p_model.detail_dimension]))::vector
           END AS associations
    FROM (SELECT vector_dims(p_history) - p_model.tower_dimension - 2 AS dimension) a
  ) b
$$;

COMMENT ON FUNCTION recs.blend_user(vector, integer, recs.models, boolean) IS
  'What a user looks for, from the sum of what their n known items say, in the weights of a model version. Not normalised: its inner product with an item is the score times the version''s embedding_scale.';
