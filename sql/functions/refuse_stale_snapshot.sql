CREATE OR REPLACE FUNCTION recs.refuse_stale_snapshot(p_tenant_id text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, recs, pg_temp
AS $$
BEGIN
  -- At READ COMMITTED a statement sees every activation that the placement lock has let pass.
  IF current_setting('transaction_isolation') NOT IN ('repeatable read', 'serializable') THEN
    RETURN;
  END IF;
  -- The snapshot does not show a version that serves since; the index that there is one at most of,
  -- models_active_idx, knows it.
  INSERT INTO recs.models (tenant_id, model_id, name, state, dimension)
    OVERRIDING SYSTEM VALUE VALUES (p_tenant_id, 0, 'never committed', 'active', 1);
  RAISE no_data_found;  -- takes the row back
EXCEPTION
  WHEN no_data_found THEN
    RETURN;
  WHEN unique_violation THEN
    RAISE EXCEPTION 'could not place items: a model version of tenant % was activated after this transaction began', p_tenant_id
      USING ERRCODE = 'serialization_failure', HINT = 'run the transaction again';
END
$$;

COMMENT ON FUNCTION recs.refuse_stale_snapshot(text) IS
  'Refuse, as a serialization failure, to write items in a transaction that sees no active version where one serves since.';
