ALTER TABLE recs.items ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS items_tenant ON recs.items;
-- The scalar subselect is evaluated once a statement, not once a row.
CREATE POLICY items_tenant ON recs.items
  USING (tenant_id = (SELECT recs.current_tenant()))
  WITH CHECK (tenant_id = (SELECT recs.current_tenant()));

COMMENT ON POLICY items_tenant ON recs.items IS 'Nobody but the owner sees another tenant''s rows.';
