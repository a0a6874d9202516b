-- pgvector may live in any schema: who asks has to reach it there, and nobody else should make
-- functions there.
DO $$
DECLARE
  v_schema name := (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                    WHERE e.extname = 'vector');
  v_others text;
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'recs_reader') THEN
    -- By name, also where PUBLIC may: that is often taken away later.
    IF has_schema_privilege(v_schema, 'USAGE WITH GRANT OPTION') THEN
      EXECUTE format('GRANT USAGE ON SCHEMA %I TO recs_reader', v_schema);
    END IF;
    IF NOT has_schema_privilege('recs_reader', v_schema, 'USAGE') THEN
      RAISE WARNING 'recs_reader may not use the schema %, in which pgvector is', v_schema
        USING HINT = format('as its owner: GRANT USAGE ON SCHEMA %I TO recs_reader', v_schema);
    END IF;
  END IF;
  -- Placing an item runs as the owner of recs and looks functions up in that schema. There is no
  -- order of schemas in which one could not be put before PostgreSQL's own, so this is all.
  SELECT string_agg(DISTINCT CASE c.maker WHEN 0 THEN 'PUBLIC' ELSE c.maker::regrole::text END, ', ')
    INTO v_others
    FROM pg_namespace n
    CROSS JOIN LATERAL (
      SELECT n.nspowner AS maker
      UNION
      SELECT a.grantee FROM aclexplode(n.nspacl) a WHERE a.privilege_type = 'CREATE'
    ) g
    CROSS JOIN LATERAL (
      SELECT CASE WHEN g.maker = to_regrole('pg_database_owner')
               THEN (SELECT d.datdba FROM pg_database d WHERE d.datname = current_database())
               ELSE g.maker END AS maker
    ) c
    WHERE n.nspname = v_schema
      AND c.maker <> (SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user)
      AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = c.maker AND r.rolsuper);
  IF v_others IS NOT NULL THEN
    RAISE WARNING '% may create functions in the schema %, in which pgvector is, and so act as the owner of recs', v_others, v_schema
      USING HINT = 'unless they are trusted with that: CREATE SCHEMA extensions; ALTER EXTENSION vector SET SCHEMA extensions; then: recs migrate';
  END IF;
END
$$;
