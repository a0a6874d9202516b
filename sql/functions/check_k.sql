CREATE OR REPLACE FUNCTION recs.check_k(p_k integer) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, recs, pg_temp
AS $$
BEGIN
  IF p_k IS NULL OR p_k NOT BETWEEN 1 AND 1000 THEN
    RAISE EXCEPTION 'k is %, expected 1 to 1000', coalesce(p_k::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'ask for what is shown; for more, page within one answer';
  END IF;
END
$$;

COMMENT ON FUNCTION recs.check_k(integer) IS 'Refuse a number of rows that is not between 1 and 1000.';
