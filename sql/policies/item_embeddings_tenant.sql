ALTER TABLE recs.item_embeddings ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS item_embeddings_tenant ON recs.item_embeddings;
-- The scalar subselect is evaluated once a statement, not once a row.
CREATE POLICY item_embeddings_tenant ON recs.item_embeddings
  USING (tenant_id = (SELECT recs.current_tenant()))
  WITH CHECK (
    tenant_id = (SELECT recs.current_tenant())
    -- Row-level security shows a tenant's own versions only.
    AND model_id IN (SELECT m.model_id FROM recs.models m));

COMMENT ON POLICY item_embeddings_tenant ON recs.item_embeddings IS 'Nobody but the owner sees another tenant''s rows.';
