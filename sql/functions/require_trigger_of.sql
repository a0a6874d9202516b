CREATE OR REPLACE FUNCTION recs.require_trigger_of(
  p_table text, p_function text, p_found oid, p_trigger name
) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, recs, pg_temp
AS $$
BEGIN
  IF p_found <> p_table::regclass THEN
    RAISE EXCEPTION '% is a trigger of %, not of %', p_function, p_table, p_found::regclass
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('DROP TRIGGER %I ON %s', p_trigger, p_found::regclass);
  END IF;
END
$$;

COMMENT ON FUNCTION recs.require_trigger_of(text, text, oid, name) IS
  'Refuse to run a trigger function on another table than its own: one that runs as its owner must not be handed rows of somebody''s own making.';
