CREATE OR REPLACE FUNCTION recs.refuse_truncate() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, recs, pg_temp
AS $$
BEGIN
  RAISE EXCEPTION 'recs.% is not to be truncated: which rows went could not be noted in recs.audit_events', TG_TABLE_NAME
    USING ERRCODE = 'feature_not_supported',
      HINT = CASE TG_TABLE_NAME WHEN 'models' THEN 'drop versions: recs models drop MODEL_ID'
             ELSE format('DELETE FROM recs.%I', TG_TABLE_NAME) END;
END
$$;

COMMENT ON FUNCTION recs.refuse_truncate() IS
  'Trigger: refuses to empty a table whose changes are noted row by row.';
