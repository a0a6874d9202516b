CREATE OR REPLACE TRIGGER items_rename
  AFTER UPDATE OF item_id ON recs.items
  FOR EACH ROW
  WHEN (old.item_id <> new.item_id AND old.tenant_id = new.tenant_id)
  EXECUTE FUNCTION recs.rename_item();

COMMENT ON TRIGGER items_rename ON recs.items IS
  'What is known of an item follows its id.';
