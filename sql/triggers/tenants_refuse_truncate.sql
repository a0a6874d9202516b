CREATE OR REPLACE TRIGGER tenants_refuse_truncate
  BEFORE TRUNCATE ON recs.tenants
  FOR EACH STATEMENT
  EXECUTE FUNCTION recs.refuse_truncate();

COMMENT ON TRIGGER tenants_refuse_truncate ON recs.tenants IS
  'No version or tenant goes without a row in recs.audit_events.';
