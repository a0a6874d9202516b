-- Group roles without login; give them to the roles your applications connect as.
-- Where the migrating role may not create roles, an administrator can, and migrate again.
DO $$
DECLARE
  v_role text;
BEGIN
  FOREACH v_role IN ARRAY ARRAY['recs_reader', 'recs_writer', 'recs_trainer'] LOOP
    CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = v_role);
    IF (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', v_role);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;  -- another database of this cluster is being migrated at the same moment
      END;
    ELSE
      RAISE WARNING 'role % does not exist, and % may not create it', v_role, current_user
        USING HINT = format('as an administrator: CREATE ROLE %I NOLOGIN; then: recs migrate', v_role);
    END IF;
  END LOOP;
END
$$;
