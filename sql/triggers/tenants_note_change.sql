CREATE OR REPLACE TRIGGER tenants_note_change
  AFTER INSERT OR UPDATE OR DELETE ON recs.tenants
  FOR EACH ROW
  EXECUTE FUNCTION recs.note_change();

COMMENT ON TRIGGER tenants_note_change ON recs.tenants IS
  'Who changed which setting of a tenant, and when.';
