ALTER TABLE recs.interactions ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS interactions_tenant ON recs.interactions;
-- The scalar subselect is evaluated once a statement, not once a row.
CREATE POLICY interactions_tenant ON recs.interactions
  USING (tenant_id = (SELECT recs.current_tenant()))
  WITH CHECK (tenant_id = (SELECT recs.current_tenant()));

COMMENT ON POLICY interactions_tenant ON recs.interactions IS 'Nobody but the owner sees another tenant''s rows.';
