-- A trigger with a transition table serves one event only, hence two.
CREATE OR REPLACE TRIGGER interactions_refuse_unknown_items
AFTER INSERT ON recs.interactions
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION recs.refuse_unknown_items();

COMMENT ON TRIGGER interactions_refuse_unknown_items ON recs.interactions IS
  'Every item of an interaction is in the catalog of its tenant.';

CREATE OR REPLACE TRIGGER interactions_refuse_unknown_items_on_update
AFTER UPDATE ON recs.interactions
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION recs.refuse_unknown_items();

COMMENT ON TRIGGER interactions_refuse_unknown_items_on_update ON recs.interactions IS
  'Every item of an interaction is in the catalog of its tenant.';
