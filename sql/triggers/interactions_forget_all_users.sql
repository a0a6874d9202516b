CREATE OR REPLACE TRIGGER interactions_forget_all_users
  AFTER TRUNCATE ON recs.interactions
  FOR EACH STATEMENT EXECUTE FUNCTION recs.forget_all_users();

COMMENT ON TRIGGER interactions_forget_all_users ON recs.interactions IS
  'A user''s vectors go with the last of the interactions that they were made of.';
