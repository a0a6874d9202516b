CREATE OR REPLACE TRIGGER users_forget_deleted
  AFTER DELETE ON recs.users
  REFERENCING OLD TABLE AS deleted
  FOR EACH STATEMENT EXECUTE FUNCTION recs.forget_users();

COMMENT ON TRIGGER users_forget_deleted ON recs.users IS
  'The vectors of a deleted user go with it.';
