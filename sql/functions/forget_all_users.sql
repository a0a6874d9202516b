CREATE OR REPLACE FUNCTION recs.forget_all_users() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, recs, pg_temp
AS $$
BEGIN
  PERFORM recs.require_trigger_of(
    'recs.interactions', 'recs.forget_all_users()', TG_RELID, TG_NAME);
  PERFORM recs.refuse_unseen_models();
  DELETE FROM recs.user_embeddings;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION recs.forget_all_users() IS
  'Trigger: the vectors of all users, of all tenants, go with all interactions.';
