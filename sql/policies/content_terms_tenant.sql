ALTER TABLE recs.content_terms ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS content_terms_tenant ON recs.content_terms;
-- The scalar subselect is evaluated once a statement, not once a row.
CREATE POLICY content_terms_tenant ON recs.content_terms
  USING (tenant_id = (SELECT recs.current_tenant()))
  WITH CHECK (tenant_id = (SELECT recs.current_tenant()));

COMMENT ON POLICY content_terms_tenant ON recs.content_terms IS 'Nobody but the owner sees another tenant''s rows.';
