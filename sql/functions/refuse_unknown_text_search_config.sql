-- Nothing but pg_catalog is looked through: a bare name would mean one configuration where an item is
-- placed and another, or none, where a session of its own search path trains.
CREATE OR REPLACE FUNCTION recs.refuse_unknown_text_search_config() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_found regconfig;
BEGIN
  BEGIN
    v_found := new.text_search_config::regconfig;
  EXCEPTION WHEN undefined_object OR invalid_schema_name OR invalid_name OR syntax_error
                 OR feature_not_supported THEN
    NULL;  -- said below
  END;
  -- Digits are read as an OID, there or not, which a dump would not keep; a dash is none.
  IF v_found IS NULL OR new.text_search_config ~ '^([0-9]+|-)$' THEN
    RAISE undefined_object USING
      MESSAGE = format('text_search_config of tenant %L is %L, expected the name of a text search configuration',
                       new.tenant_id, new.text_search_config),
      HINT = 'list them: SELECT cfgnamespace::regnamespace, cfgname FROM pg_ts_config; one that is not in pg_catalog is named with its schema',
      SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'text_search_config';
  END IF;
  RETURN new;
END
$$;

COMMENT ON FUNCTION recs.refuse_unknown_text_search_config() IS
  'Trigger: refuses a text search configuration that does not exist where it is written, rather than where it is first used.';
