CREATE OR REPLACE FUNCTION recs.refuse_unseen_models(p_tenant_id text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, recs, pg_temp
AS $$
BEGIN
  -- At READ COMMITTED a statement sees every version that the placement lock has let pass.
  IF current_setting('transaction_isolation') NOT IN ('repeatable read', 'serializable') THEN
    RETURN;
  END IF;
  -- Of a training that the snapshot shows the row was written anew when its version was published, and
  -- locking it fails. One that is being published holds it, and will wait for this transaction.
  PERFORM FROM recs.models m
    WHERE m.state = 'training' AND (p_tenant_id IS NULL OR m.tenant_id = p_tenant_id)
    FOR SHARE SKIP LOCKED;
  -- One that began since is not in the snapshot. The primary key, by tenant, knows its number.
  INSERT INTO recs.models (tenant_id, model_id, name, state, dimension)
    OVERRIDING SYSTEM VALUE
    SELECT t.tenant_id, n, 'never committed', 'training', 1
    -- A tenant needs no row in recs.tenants.
    FROM (SELECT coalesce(p_tenant_id, recs.current_tenant())
          UNION
          SELECT t.tenant_id FROM recs.tenants t WHERE p_tenant_id IS NULL
          UNION
          SELECT m.tenant_id FROM recs.models m WHERE p_tenant_id IS NULL) t (tenant_id),
         recs.models_model_id_seq s,
         generate_series((SELECT coalesce(max(m.model_id), 0) + 1 FROM recs.models m), s.last_value) n;
  RAISE no_data_found;  -- takes the rows back
EXCEPTION
  WHEN no_data_found THEN
    RETURN;
  WHEN unique_violation OR serialization_failure THEN
    RAISE EXCEPTION 'could not forget users: a model version was made after this transaction began'
      USING ERRCODE = 'serialization_failure', HINT = 'run the transaction again';
END
$$;

COMMENT ON FUNCTION recs.refuse_unseen_models(text) IS
  'Refuse, as a serialization failure, to take interactions back in a transaction that does not see every version whose vectors were made of them. NULL: of any tenant.';
