-- One statement, one check, whether it wrote one row or a million. Each branch keeps a plan of its
-- own: a session that loads and then records single events must not scan the catalog for each.
CREATE OR REPLACE FUNCTION recs.refuse_unknown_items() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, recs, pg_temp
AS $$
DECLARE
  v_unknown text;
  v_count bigint;
BEGIN
  IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 1001) AS first_rows) <= 1000 THEN
    SELECT min(item_id), count(*) INTO v_unknown, v_count
    FROM (SELECT DISTINCT tenant_id, item_id FROM new_rows) AS named
    WHERE NOT EXISTS (
      SELECT FROM recs.items AS i
      WHERE i.tenant_id = named.tenant_id AND i.item_id = named.item_id
    );
  ELSE
    SELECT min(item_id), count(*) INTO v_unknown, v_count
    FROM (SELECT DISTINCT tenant_id, item_id FROM new_rows) AS named
    LEFT JOIN recs.items AS i USING (tenant_id, item_id)
    WHERE i.item_id IS NULL;
  END IF;
  IF v_count > 0 AND TG_OP = 'UPDATE' THEN
    -- An item may have been deleted since: what is not new is not refused. Planned here only, since
    -- an INSERT has no old rows.
    SELECT min(item_id), count(*) INTO v_unknown, v_count
    FROM (SELECT tenant_id, item_id FROM new_rows EXCEPT SELECT tenant_id, item_id FROM old_rows)
      AS named
    WHERE NOT EXISTS (
      SELECT FROM recs.items AS i
      WHERE i.tenant_id = named.tenant_id AND i.item_id = named.item_id
    );
  END IF;
  IF v_count > 0 THEN
    RAISE foreign_key_violation USING
      MESSAGE = format('interaction with unknown item_id %L (%s unknown in all)', v_unknown, v_count),
      HINT = 'insert the items into recs.items first, in the same tenant, or leave their interactions out'
        || CASE WHEN current_setting('transaction_isolation') IN ('repeatable read', 'serializable')
             THEN '; if they came since this transaction began, run it again' ELSE '' END,
      SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'item_id';
  END IF;
  RETURN NULL;
END;
$$;

COMMENT ON FUNCTION recs.refuse_unknown_items() IS
  'Trigger: refuses interactions that come to name an item that is not in recs.items of their tenant.';
