CREATE OR REPLACE FUNCTION recs.create_reader_function(
  p_name text, p_definition text, p_comment text
) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path FROM CURRENT
AS $$
DECLARE
  v_old regprocedure;
BEGIN
  FOR v_old IN
    SELECT p.oid FROM pg_proc p
    WHERE p.pronamespace = 'recs'::regnamespace AND p.proname = p_name
  LOOP
    EXECUTE format('DROP FUNCTION %s', v_old);  -- an earlier release may have had other arguments
  END LOOP;
  EXECUTE format('CREATE FUNCTION recs.%I %s', p_name, p_definition);
  EXECUTE format('COMMENT ON FUNCTION recs.%I IS %L', p_name, p_comment);
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'recs_reader') THEN
    EXECUTE format('REVOKE ALL ON FUNCTION recs.%I FROM PUBLIC', p_name);
    EXECUTE format('GRANT EXECUTE ON FUNCTION recs.%I TO recs_reader', p_name);
  END IF;
END
$$;

COMMENT ON FUNCTION recs.create_reader_function(text, text, text) IS
  'Create a function of one model version anew, in place of whatever has its name, for readers to run; create_serving_function and create_user_functions call it.';
