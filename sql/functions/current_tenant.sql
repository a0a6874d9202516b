CREATE OR REPLACE FUNCTION recs.current_tenant() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(nullif(current_setting('recs.tenant_id', true), ''), 'default');

COMMENT ON FUNCTION recs.current_tenant() IS
  'The tenant this session works for: set_config(''recs.tenant_id'', .., true), else ''default''.';
