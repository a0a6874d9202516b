ALTER TABLE recs.user_embeddings ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS user_embeddings_tenant ON recs.user_embeddings;
-- The scalar subselect is evaluated once a statement, not once a row.
CREATE POLICY user_embeddings_tenant ON recs.user_embeddings
  USING (tenant_id = (SELECT recs.current_tenant()))
  WITH CHECK (tenant_id = (SELECT recs.current_tenant()));

COMMENT ON POLICY user_embeddings_tenant ON recs.user_embeddings IS 'Nobody but the owner sees another tenant''s rows.';
