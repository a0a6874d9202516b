CREATE OR REPLACE FUNCTION recs.forget_users() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
  -- It runs as its owner: nobody may hand it rows of their own making.
  IF TG_RELID <> 'recs.users'::regclass THEN
    RAISE EXCEPTION 'recs.forget_users() is a trigger of recs.users, not of %', TG_RELID::regclass
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('DROP TRIGGER %I ON %s', TG_NAME, TG_RELID::regclass);
  END IF;
  -- By way of the versions: the key of vectors has the version before the user.
  DELETE FROM recs.user_embeddings e USING deleted d, recs.models m
    WHERE m.tenant_id = d.tenant_id
      AND e.tenant_id = d.tenant_id AND e.model_id = m.model_id AND e.user_id = d.user_id;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION recs.forget_users() IS
  'Trigger: the vectors of a deleted user go with it, in all versions; its interactions stay as history, and while they do, recommend() folds the user in from them.';
