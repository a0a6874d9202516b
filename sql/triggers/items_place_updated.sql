CREATE OR REPLACE TRIGGER items_place_updated
  AFTER UPDATE ON recs.items
  REFERENCING OLD TABLE AS previous NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION recs.place_changed_items();

COMMENT ON TRIGGER items_place_updated ON recs.items IS
  'An item that was placed by its content moves when that changes.';
