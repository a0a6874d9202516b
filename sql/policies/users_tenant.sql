ALTER TABLE recs.users ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS users_tenant ON recs.users;
-- The scalar subselect is evaluated once a statement, not once a row.
CREATE POLICY users_tenant ON recs.users
  USING (tenant_id = (SELECT recs.current_tenant()))
  WITH CHECK (tenant_id = (SELECT recs.current_tenant()));

COMMENT ON POLICY users_tenant ON recs.users IS 'Nobody but the owner sees another tenant''s rows.';
