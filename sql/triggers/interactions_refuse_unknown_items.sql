-- A trigger with a transition table serves one event only, hence two.
CREATE OR REPLACE TRIGGER interactions_refuse_unknown_items
AFTER INSERT ON recs.interactions
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION recs.refuse_unknown_items();

COMMENT ON TRIGGER interactions_refuse_unknown_items ON recs.interactions IS
  'An item that an interaction comes to name is in the catalog of its tenant then; it may be deleted later.';

CREATE OR REPLACE TRIGGER interactions_refuse_unknown_items_on_update
AFTER UPDATE ON recs.interactions
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION recs.refuse_unknown_items();

COMMENT ON TRIGGER interactions_refuse_unknown_items_on_update ON recs.interactions IS
  'An item that an interaction comes to name is in the catalog of its tenant then; it may be deleted later.';
