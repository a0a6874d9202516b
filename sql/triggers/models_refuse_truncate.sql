CREATE OR REPLACE TRIGGER models_refuse_truncate
  BEFORE TRUNCATE ON recs.models
  FOR EACH STATEMENT
  EXECUTE FUNCTION recs.refuse_truncate();

COMMENT ON TRIGGER models_refuse_truncate ON recs.models IS
  'No version or tenant goes without a row in recs.audit_events.';
