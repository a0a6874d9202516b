ALTER TABLE recs.models ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS models_tenant ON recs.models;
-- The scalar subselect is evaluated once a statement, not once a row.
CREATE POLICY models_tenant ON recs.models
  USING (tenant_id = (SELECT recs.current_tenant()))
  WITH CHECK (tenant_id = (SELECT recs.current_tenant()));

COMMENT ON POLICY models_tenant ON recs.models IS 'Nobody but the owner sees another tenant''s rows.';
