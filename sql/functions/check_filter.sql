CREATE OR REPLACE FUNCTION recs.check_filter(p_filter jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, recs, pg_temp
AS $$
BEGIN
  IF jsonb_typeof(p_filter) <> 'object' THEN
    RAISE EXCEPTION 'filter is %, expected a JSON object', p_filter
      USING ERRCODE = 'invalid_parameter_value', HINT = 'for example: {"colour": "plum"}';
  END IF;
END
$$;

COMMENT ON FUNCTION recs.check_filter(jsonb) IS 'Refuse a filter that is no JSON object: no attributes could contain it.';
