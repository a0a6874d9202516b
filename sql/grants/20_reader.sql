-- recs_reader: asks for recommendations.
DO $$
DECLARE
  v_function text;
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'recs_reader') THEN
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA recs FROM PUBLIC, recs_reader;
    GRANT USAGE ON SCHEMA recs TO recs_reader;
    GRANT SELECT ON
      recs.tenants, recs.users, recs.items, recs.interactions, recs.item_popularity, recs.models,
      recs.item_embeddings, recs.user_embeddings, recs.content_terms, recs.audit_events,
      recs.popular_items, recs.cold_start_users, recs.cold_start_items
      TO recs_reader;
    -- By which who asks is told that the schema is of another release.
    IF to_regclass('recs.alembic_version') IS NOT NULL THEN
      GRANT SELECT ON recs.alembic_version TO recs_reader;
    END IF;
    -- What writes is VOLATILE. So are trigger functions: who may execute one that runs as its owner
    -- could hang it on a table of their own. To fire a trigger takes no right to its function.
    FOR v_function IN
      SELECT p.oid::regprocedure FROM pg_proc p
      WHERE p.pronamespace = 'recs'::regnamespace AND p.provolatile <> 'v'
    LOOP
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO recs_reader', v_function);
    END LOOP;
  END IF;
END
$$;
