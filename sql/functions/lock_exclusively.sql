CREATE OR REPLACE FUNCTION recs.lock_exclusively(p_lock bigint, p_holders text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path FROM CURRENT
AS $$
DECLARE
  v_patience integer;  -- milliseconds; 0: as long as it takes
  v_longest integer;  -- milliseconds
  v_try integer := 50;  -- milliseconds
  v_began timestamptz := clock_timestamp();
  v_told boolean := false;
  v_holders integer[];
BEGIN
  IF pg_try_advisory_xact_lock(p_lock) THEN
    RETURN;
  END IF;
  SELECT s.setting INTO v_patience FROM pg_settings s WHERE s.name = 'lock_timeout';
  SELECT s.setting::integer / 2 INTO v_longest FROM pg_settings s WHERE s.name = 'deadlock_timeout';
  -- While somebody waits for it alone, nobody gets it to share: who writes items would stand behind.
  -- So it is waited for a moment at a time, longer and longer, and those who write have as long to go
  -- on. Never as long as PostgreSQL waits before it looks for a deadlock: a transaction that writes
  -- items twice would be one, as soon as another that it waits for stands behind.
  LOOP
    SELECT array_agg(l.pid ORDER BY l.pid) INTO v_holders
      FROM pg_locks l
      WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
        AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
        AND (l.classid::bigint << 32 | l.objid::bigint) = p_lock;
    -- Two that have written items, and would each keep the other out, are a deadlock, and found.
    IF pg_backend_pid() = ANY (v_holders) THEN
      PERFORM pg_advisory_xact_lock(p_lock);
      RETURN;
    END IF;
    IF NOT v_told AND clock_timestamp() > v_began + interval '2 seconds' THEN
      RAISE WARNING 'waiting for transactions that have %, and go on', p_holders
        USING HINT = format('which: SELECT * FROM pg_stat_activity WHERE pid = ANY (%L)', v_holders);
      v_told := true;
    END IF;
    BEGIN
      PERFORM set_config('lock_timeout', least(v_try, nullif(v_patience, 0))::text, true);
      PERFORM pg_advisory_xact_lock(p_lock);
      PERFORM set_config('lock_timeout', v_patience::text, true);
      RETURN;
    EXCEPTION WHEN lock_not_available THEN
      IF v_patience > 0 AND clock_timestamp() > v_began + v_patience * interval '1 millisecond' THEN
        RAISE;
      END IF;
    END;
    PERFORM pg_sleep(v_try / 1000.0);
    v_try := least(2 * v_try, v_longest);
  END LOOP;
END
$$;

COMMENT ON FUNCTION recs.lock_exclusively(bigint, text) IS
  'Wait until no other transaction holds an advisory lock, and keep them out until the end of this one. Who takes it to share does not wait behind, but for a moment. It gives up after lock_timeout. p_holders: what those have done that hold it, for a warning.';
