CREATE OR REPLACE FUNCTION recs.kriging_weights(p_contents halfvec[], p_similarities float8[])
RETURNS real[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
DECLARE
  v_count integer := cardinality(p_similarities);
  v_kernel vector[];
  v_weights vector := array_fill(0::real, ARRAY[v_count])::vector;
  v_residual vector;
  v_direction vector;
  v_image vector;
  v_square float8;
  v_before float8;
  v_enough float8;
  v_step real;
BEGIN
  v_kernel := ARRAY(
    SELECT (ARRAY(SELECT (greatest(-(a.content <#> b.content), 0) ^ 1.5
                          + CASE WHEN a.n = b.n THEN 0.5 ELSE 0 END)::real
                  FROM unnest(p_contents) WITH ORDINALITY b (content, n)))::vector
    FROM unnest(p_contents) WITH ORDINALITY a (content, n));
  v_residual := ARRAY(SELECT (s.similarity ^ 1.5)::real FROM unnest(p_similarities) s (similarity))::vector;
  v_direction := v_residual;
  v_square := -(v_residual <#> v_residual);
  v_enough := greatest(1e-8 * v_square, 1e-30);  -- less than that is no number in single precision
  -- Conjugate gradients (Hestenes and Stiefel 1952): the kernel with its noise is positive definite,
  -- and a product of a matrix with a vector is a row's inner product each. Some twenty steps.
  FOR i IN 1 .. 2 * v_count LOOP
    EXIT WHEN v_square <= v_enough;
    v_image := ARRAY(SELECT -(k.kernel <#> v_direction) FROM unnest(v_kernel) k (kernel))::real[]::vector;
    v_step := v_square / -(v_direction <#> v_image);
    v_weights := v_weights + array_fill(v_step, ARRAY[v_count])::vector * v_direction;
    v_residual := v_residual - array_fill(v_step, ARRAY[v_count])::vector * v_image;
    v_before := v_square;
    v_square := -(v_residual <#> v_residual);
    v_direction := v_residual
      + array_fill((v_square / v_before)::real, ARRAY[v_count])::vector * v_direction;
  END LOOP;
  RETURN v_weights::real[];
END
$$;

COMMENT ON FUNCTION recs.kriging_weights(halfvec[], float8[]) IS
  'What each of an item''s neighbours counts in predicting what it is: w of (K + .5 I) w = s ^ 1.5, K the similarity between them to the same power, s theirs to the item, above zero. The reference: recs.learning.cold_items.';
