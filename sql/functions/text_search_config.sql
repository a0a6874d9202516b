-- Looked up rather than cast: to catch what the cast raises would take a subtransaction, which no
-- parallel query may begin. A bare name is one of pg_catalog, as refuse_unknown_text_search_config()
-- reads it.
CREATE OR REPLACE FUNCTION recs.text_search_config(p_tenant_id text) RETURNS regconfig
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, recs, pg_temp
AS $$
DECLARE
  v_name text := coalesce(
    (SELECT t.text_search_config FROM recs.tenants t WHERE t.tenant_id = p_tenant_id),
    'english');  -- as the column's default
  v_parts text[] := parse_ident(v_name);
  v_last integer := cardinality(v_parts);
  v_found regconfig;
BEGIN
  SELECT c.oid INTO v_found
    FROM pg_ts_config c
    JOIN pg_namespace n ON n.oid = c.cfgnamespace
    WHERE c.cfgname = v_parts[v_last]::name
      AND n.nspname = CASE WHEN v_last = 1 THEN 'pg_catalog' ELSE v_parts[v_last - 1]::name END;
  IF v_found IS NULL THEN
    RAISE undefined_object USING
      MESSAGE = format('text_search_config of tenant %L is %L, expected the name of a text search configuration that is still there',
                       p_tenant_id, v_name),
      HINT = format('create it again; or name another, and train anew, since the words are others then: UPDATE recs.tenants SET text_search_config = %L WHERE tenant_id = %L',
                    'english', p_tenant_id),
      SCHEMA = 'recs', TABLE = 'tenants', COLUMN = 'text_search_config';
  END IF;
  RETURN v_found;
END
$$;

COMMENT ON FUNCTION recs.text_search_config(text) IS
  'The text search configuration of a tenant; of one without a row in recs.tenants what a row has by default. One that was dropped since it was named is an error: read otherwise, items would be placed by words that the version never learned.';
