-- No CHECK, since what exists may change, and no column of type regconfig, which pg_upgrade refuses.
-- A restore loads rows before it makes triggers, so nothing of a dump is refused.
CREATE OR REPLACE TRIGGER tenants_refuse_unknown_text_search_config
  BEFORE INSERT OR UPDATE OF text_search_config ON recs.tenants
  FOR EACH ROW EXECUTE FUNCTION recs.refuse_unknown_text_search_config();

COMMENT ON TRIGGER tenants_refuse_unknown_text_search_config ON recs.tenants IS
  'What a tenant''s texts are read with is there when it is named; it may be dropped later.';
