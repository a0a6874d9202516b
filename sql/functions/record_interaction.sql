CREATE OR REPLACE FUNCTION recs.record_interaction(
  p_user_id text,
  p_item_id text,
  p_interaction_type text DEFAULT 'interaction',
  p_weight real DEFAULT 1,
  p_occurred_at timestamptz DEFAULT now()
) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
  INSERT INTO recs.interactions (user_id, item_id, interaction_type, weight, occurred_at)
  VALUES (p_user_id, p_item_id, p_interaction_type, p_weight, p_occurred_at);
END;

COMMENT ON FUNCTION recs.record_interaction(text, text, text, real, timestamptz) IS
  'Record what a user did with an item; from the next statement of the same transaction on, recommendations follow it.';
