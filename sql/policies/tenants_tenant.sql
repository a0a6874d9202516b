ALTER TABLE recs.tenants ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS tenants_tenant ON recs.tenants;
-- The scalar subselect is evaluated once a statement, not once a row.
CREATE POLICY tenants_tenant ON recs.tenants
  USING (tenant_id = (SELECT recs.current_tenant()))
  WITH CHECK (tenant_id = (SELECT recs.current_tenant()));

COMMENT ON POLICY tenants_tenant ON recs.tenants IS 'Nobody but the owner sees another tenant''s rows.';
