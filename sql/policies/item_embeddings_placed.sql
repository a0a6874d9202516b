-- Nobody but the owner, who publishes, writes what a version has learned; others place items in it.
DROP POLICY IF EXISTS item_embeddings_placed_insert ON recs.item_embeddings;
CREATE POLICY item_embeddings_placed_insert ON recs.item_embeddings AS RESTRICTIVE
  FOR INSERT WITH CHECK (source = 'content');
COMMENT ON POLICY item_embeddings_placed_insert ON recs.item_embeddings IS
  'Nobody but the owner adds vectors that are not placed by content.';

DROP POLICY IF EXISTS item_embeddings_placed_update ON recs.item_embeddings;
CREATE POLICY item_embeddings_placed_update ON recs.item_embeddings AS RESTRICTIVE
  FOR UPDATE USING (source = 'content');
COMMENT ON POLICY item_embeddings_placed_update ON recs.item_embeddings IS
  'Nobody but the owner changes what a version has learned.';

DROP POLICY IF EXISTS item_embeddings_placed_delete ON recs.item_embeddings;
CREATE POLICY item_embeddings_placed_delete ON recs.item_embeddings AS RESTRICTIVE
  FOR DELETE USING (source = 'content');
COMMENT ON POLICY item_embeddings_placed_delete ON recs.item_embeddings IS
  'Nobody but the owner takes out what a version has learned.';
