-- Takes all tables before anything is changed: no reader is met halfway, which could be a deadlock.
DO $$
DECLARE
  -- Views first, which a query locks before their tables; then in the order in which an answer reads.
  v_names text[] := ARRAY[
    'recs.popular_items', 'recs.cold_start_users', 'recs.cold_start_items',
    'recs.models', 'recs.user_embeddings', 'recs.interactions', 'recs.item_embeddings', 'recs.items',
    'recs.item_popularity', 'recs.content_terms', 'recs.users', 'recs.tenants', 'recs.audit_events'];
  v_before text := current_setting('lock_timeout');
  v_end timestamptz := clock_timestamp() + interval '10 s';
  v_try timestamptz;
  v_name text;
BEGIN
  -- Who waits long for this sends an autovacuum away, which the short tries below would not. It is in
  -- nobody else's way.
  FOREACH v_name IN ARRAY v_names[4:] LOOP
    CONTINUE WHEN to_regclass(v_name) IS NULL;
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', v_name);
  END LOOP;
  LOOP
    -- All or none, within less than PostgreSQL waits before it looks for a deadlock: that would end
    -- a reader. What was taken goes with the block.
    v_try := clock_timestamp() + interval '300 ms';
    BEGIN
      FOREACH v_name IN ARRAY v_names LOOP
        CONTINUE WHEN to_regclass(v_name) IS NULL;
        PERFORM set_config('lock_timeout', greatest(1,
          round(1000 * extract(epoch FROM v_try - clock_timestamp())))::text, true);
        -- LOCK TABLE of a view takes its tables along, in an order of its own.
        EXECUTE format(CASE (SELECT relkind FROM pg_class WHERE oid = v_name::regclass)
          WHEN 'v' THEN 'ALTER VIEW %s SET (security_invoker = true)'
          ELSE 'LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE' END, v_name);
      END LOOP;
      PERFORM set_config('lock_timeout', v_before, true);
      RETURN;
    EXCEPTION WHEN lock_not_available THEN
      IF clock_timestamp() > v_end THEN
        RAISE lock_not_available USING
          MESSAGE = format('%s is in use, and was not free within 10s', v_name),
          HINT = 'nothing has changed; run it again when no load, training or long query runs';
      END IF;
    END;
    PERFORM pg_sleep(0.5);
  END LOOP;
END
$$;
