ALTER TABLE recs.item_popularity ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS item_popularity_tenant ON recs.item_popularity;
-- The scalar subselect is evaluated once a statement, not once a row.
CREATE POLICY item_popularity_tenant ON recs.item_popularity
  USING (tenant_id = (SELECT recs.current_tenant()))
  WITH CHECK (tenant_id = (SELECT recs.current_tenant()));

COMMENT ON POLICY item_popularity_tenant ON recs.item_popularity IS 'Nobody but the owner sees another tenant''s rows.';
