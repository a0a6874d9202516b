CREATE OR REPLACE FUNCTION recs.text_search_config(p_tenant_id text) RETURNS regconfig
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(
  (SELECT t.text_search_config FROM recs.tenants t WHERE t.tenant_id = p_tenant_id),
  'english')::regconfig;  -- as the column's default

COMMENT ON FUNCTION recs.text_search_config(text) IS
  'The text search configuration of a tenant; of one without a row in recs.tenants what a row has by default.';
