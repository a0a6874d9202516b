-- recs_reader: asks for recommendations.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'recs_reader') THEN
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA recs FROM PUBLIC;
    GRANT USAGE ON SCHEMA recs TO recs_reader;
    GRANT SELECT ON
      recs.tenants, recs.users, recs.items, recs.interactions, recs.item_popularity, recs.models,
      recs.item_embeddings, recs.user_embeddings, recs.content_terms,
      recs.popular_items, recs.cold_start_users, recs.cold_start_items
      TO recs_reader;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA recs TO recs_reader;
    REVOKE EXECUTE ON FUNCTION
      recs.activate_model(bigint), recs.roll_back_model(), recs.place_items(bigint, text[], text),
      recs.refresh_popularity(timestamptz),
      recs.record_interaction(text, text, text, real, timestamptz)
      FROM recs_reader;
  END IF;
END
$$;
