CREATE OR REPLACE TRIGGER items_place_new
  AFTER INSERT ON recs.items
  REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION recs.place_changed_items();

COMMENT ON TRIGGER items_place_new ON recs.items IS
  'A new item gets its vectors in the transaction that inserts it.';
