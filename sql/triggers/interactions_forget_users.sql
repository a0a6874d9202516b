-- A trigger with a transition table serves one event only, hence two.
CREATE OR REPLACE TRIGGER interactions_forget_users
  AFTER DELETE ON recs.interactions
  REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION recs.forget_users();

COMMENT ON TRIGGER interactions_forget_users ON recs.interactions IS
  'The vectors of a user go with the last interaction.';

CREATE OR REPLACE TRIGGER interactions_forget_users_on_update
  AFTER UPDATE ON recs.interactions
  REFERENCING OLD TABLE AS gone NEW TABLE AS kept
  FOR EACH STATEMENT EXECUTE FUNCTION recs.forget_users();

COMMENT ON TRIGGER interactions_forget_users_on_update ON recs.interactions IS
  'The vectors of a user go with the last interaction, that which is given to another user too.';
