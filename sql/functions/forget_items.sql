CREATE OR REPLACE FUNCTION recs.forget_items() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
  DELETE FROM recs.item_embeddings e USING deleted d
    WHERE e.tenant_id = d.tenant_id AND e.item_id = d.item_id;
  DELETE FROM recs.item_popularity p USING deleted d
    WHERE p.tenant_id = d.tenant_id AND p.item_id = d.item_id;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION recs.forget_items() IS
  'Trigger: what was derived of a deleted item goes with it; its interactions stay as history.';
