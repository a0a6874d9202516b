CREATE OR REPLACE TRIGGER models_note_change
  AFTER INSERT OR UPDATE OR DELETE ON recs.models
  FOR EACH ROW
  EXECUTE FUNCTION recs.note_change();

COMMENT ON TRIGGER models_note_change ON recs.models IS
  'Who made which version serve, and when.';
