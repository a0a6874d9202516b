-- recs_trainer: refreshes popularity, activates, tries and rolls back. Publishing a version creates
-- tables, so `recs train` runs as the owner of the schema.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'recs_trainer') THEN
    -- What a version is stays as it was published; which one serves is the trainer's to say.
    REVOKE UPDATE ON recs.models FROM recs_trainer;
    GRANT UPDATE (state, activated_at, previous_model_id, trial_share) ON recs.models TO recs_trainer;
    GRANT UPDATE ON recs.tenants TO recs_trainer;
    GRANT INSERT, DELETE ON recs.item_popularity TO recs_trainer;
    GRANT INSERT, UPDATE, DELETE ON recs.item_embeddings TO recs_trainer;
    GRANT EXECUTE ON FUNCTION
      recs.activate_model(bigint), recs.roll_back_model(), recs.start_trial(bigint, real),
      recs.stop_trial(), recs.lock_placement(), recs.lock_exclusively(bigint, text), recs.place_items(bigint, text[], text),
      recs.refresh_popularity(timestamptz) TO recs_trainer;
  END IF;
END
$$;
