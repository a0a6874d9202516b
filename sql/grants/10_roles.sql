-- Group roles without login; give them to the roles your applications connect as.
-- Where the migrating role may not create roles, an administrator can, and migrate again.
DO $$
DECLARE
  v_role text;
  v_members text;
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
        USING HINT = format(
          'as an administrator: CREATE ROLE %I NOLOGIN;%s then: recs migrate', v_role,
          CASE WHEN v_role <> 'recs_reader' THEN format(' GRANT recs_reader TO %I;', v_role) END);
    END IF;
  END LOOP;
  -- Who writes or trains may read. Roles belong to the cluster: where an administrator made them,
  -- the migrating role need not be one who may grant them.
  FOREACH v_role IN ARRAY ARRAY['recs_writer', 'recs_trainer'] LOOP
    CONTINUE WHEN (SELECT count(*) FROM pg_roles WHERE rolname IN ('recs_reader', v_role)) < 2;
    CONTINUE WHEN pg_has_role(v_role, 'recs_reader', 'MEMBER');
    BEGIN
      EXECUTE format('GRANT recs_reader TO %I', v_role);
    EXCEPTION
      WHEN unique_violation THEN
        NULL;  -- as above
      WHEN insufficient_privilege THEN
        RAISE WARNING '% is no member of recs_reader, and % may not make it one', v_role, current_user
          USING HINT = format('as an administrator: GRANT recs_reader TO %I', v_role);
    END;
  END LOOP;
  -- For the same reason who is a member for another database's sake may use this one. Told when the
  -- roles come to this database, which is before 20_reader.sql has run for the first time.
  IF NOT EXISTS (SELECT FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a
                 WHERE n.nspname = 'recs' AND a.grantee = to_regrole('recs_reader')) THEN
    SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname) INTO v_members
      FROM pg_roles r
      WHERE r.rolcanlogin AND NOT r.rolsuper AND r.rolname <> current_user
        AND has_database_privilege(r.oid, current_database(), 'CONNECT')
        AND EXISTS (SELECT FROM pg_roles g
                    WHERE g.rolname IN ('recs_reader', 'recs_writer', 'recs_trainer')
                      AND pg_has_role(r.oid, g.oid, 'MEMBER'));
    IF v_members IS NOT NULL THEN
      RAISE WARNING '% may use the database % too, by recs_reader, recs_writer or recs_trainer, which are of the whole cluster', v_members, current_database()
        USING HINT = format(
          'unless they should: REVOKE CONNECT ON DATABASE %1$I FROM PUBLIC; then, for each role that should: GRANT CONNECT ON DATABASE %1$I TO ..',
          current_database());
    END IF;
  END IF;
END
$$;
