-- Triggers fire in the order of their names: before items_place_updated, which leaves alone what was
-- learned under the new id.
CREATE OR REPLACE TRIGGER items_keep_renamed
  AFTER UPDATE ON recs.items
  REFERENCING OLD TABLE AS previous NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION recs.rename_items();

COMMENT ON TRIGGER items_keep_renamed ON recs.items IS
  'What is known of an item follows its id.';
