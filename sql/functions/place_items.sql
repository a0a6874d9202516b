CREATE OR REPLACE FUNCTION recs.place_items(p_model_id bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path FROM CURRENT
AS $$
BEGIN
  RETURN 0;
END
$$;

COMMENT ON FUNCTION recs.place_items(bigint) IS 'Place items that a model version lacks, by their content.';
