CREATE OR REPLACE FUNCTION recs.forget_items() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
  -- It runs as its owner: nobody may hand it rows of their own making.
  IF TG_RELID <> 'recs.items'::regclass THEN
    RAISE EXCEPTION 'recs.forget_items() is a trigger of recs.items, not of %', TG_RELID::regclass
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('DROP TRIGGER %I ON %s', TG_NAME, TG_RELID::regclass);
  END IF;
  DELETE FROM recs.item_embeddings e USING deleted d
    WHERE e.tenant_id = d.tenant_id AND e.item_id = d.item_id;
  DELETE FROM recs.item_popularity p USING deleted d
    WHERE p.tenant_id = d.tenant_id AND p.item_id = d.item_id;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION recs.forget_items() IS
  'Trigger: what was derived of a deleted item goes with it; its interactions stay as history.';
