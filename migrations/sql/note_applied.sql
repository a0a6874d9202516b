DO $$
BEGIN
  IF to_regclass('recs.alembic_version') IS NOT NULL THEN
    EXECUTE format('COMMENT ON TABLE recs.alembic_version IS %L', current_setting('recs.applied'));
  END IF;
END
$$;
