-- recs_writer: an application; it also keeps the catalog and records what users do.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'recs_writer') THEN
    GRANT INSERT, UPDATE, DELETE ON recs.users, recs.items, recs.interactions TO recs_writer;
    GRANT EXECUTE ON FUNCTION
      recs.record_interaction(text, text, text, real, timestamptz), recs.erase_user(text)
      TO recs_writer;
  END IF;
END
$$;
