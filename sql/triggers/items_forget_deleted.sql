CREATE OR REPLACE TRIGGER items_forget_deleted
  AFTER DELETE ON recs.items
  REFERENCING OLD TABLE AS deleted
  FOR EACH STATEMENT EXECUTE FUNCTION recs.forget_items();

COMMENT ON TRIGGER items_forget_deleted ON recs.items IS
  'Vectors and popularity of a deleted item go with it.';
