CREATE OR REPLACE TRIGGER interactions_forget_users
  AFTER DELETE ON recs.interactions
  REFERENCING OLD TABLE AS deleted
  FOR EACH STATEMENT EXECUTE FUNCTION recs.forget_users();

COMMENT ON TRIGGER interactions_forget_users ON recs.interactions IS
  'The vectors of a user go with the last interaction.';
