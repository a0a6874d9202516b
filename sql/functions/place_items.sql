CREATE OR REPLACE FUNCTION recs.place_items(
  p_model_id bigint,
  p_item_ids text[] DEFAULT NULL,
  p_tenant_id text DEFAULT recs.current_tenant()
) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path FROM CURRENT
SET jit = off
SET hnsw.ef_search = 200
SET hnsw.iterative_scan = strict_order
SET enable_seqscan = off
SET enable_sort = off
AS $$
DECLARE
  v_dimension integer;
  v_content_dimension integer;
  v_neighbors integer;
  v_supplied boolean;  -- whether the application makes the content vectors of this version
  v_plain integer;  -- coordinates of which the mean is taken: the two-tower part, all without a blend
  v_rows bigint;
BEGIN
  SELECT m.dimension, m.content_dimension, m.content_neighbors,
         coalesce(m.tower_dimension, m.dimension)
    INTO v_dimension, v_content_dimension, v_neighbors, v_plain
    FROM recs.models m WHERE m.tenant_id = p_tenant_id AND m.model_id = p_model_id;
  IF v_content_dimension IS NULL THEN
    RETURN 0;  -- the model knows no content: a new item is found by its newness alone
  END IF;
  -- The version is named: else the partitions of all tenants would be locked.
  EXECUTE format('SELECT NOT EXISTS (SELECT FROM recs.content_terms c
                                     WHERE c.tenant_id = $1 AND c.model_id = %s)', p_model_id)
    INTO v_supplied USING p_tenant_id;
  -- Named items may have changed to something the version knows nothing of: no place is left then.
  IF p_item_ids IS NOT NULL THEN
    EXECUTE format($q$
      DELETE FROM recs.item_embeddings e
      WHERE e.tenant_id = $1 AND e.model_id = %s AND e.item_id = ANY ($2) AND e.source = 'content'$q$,
      p_model_id) USING p_tenant_id, p_item_ids;
  END IF;
  -- A new item's place in the two-tower space is the middle of the learned items whose content is
  -- like its own. Each counts by the cube of the similarity, and a little by its popularity: what
  -- sells is what the new item will be compared with. Its associations, and how far it is of the
  -- season ahead, are what these neighbours predict. The reference in Python:
  -- recs.learning.space.Space.place.
  EXECUTE format($q$
    WITH new AS MATERIALIZED (
      SELECT i.item_id,
             -- The application's own vector, where the version has learned such; else its terms.
             CASE WHEN $5 AND vector_dims(i.content_vector) = %2$s
               THEN l2_normalize(i.content_vector)::halfvec
               ELSE recs.encode_content($1, %1$s, i.title, i.description, i.attributes, $6)
             END AS content
      FROM recs.items i
      LEFT JOIN recs.item_embeddings e
        ON e.tenant_id = $1 AND e.model_id = %1$s AND e.item_id = i.item_id
      WHERE i.tenant_id = $1
        -- Named items may have changed; of the rest, those the version has never seen.
        AND CASE WHEN $2 IS NULL THEN e.item_id IS NULL
                 ELSE i.item_id = ANY ($2) AND e.source IS DISTINCT FROM 'interactions' END
    ), placed AS (
      SELECT n.item_id, n.content, w.*
      FROM new n
      CROSS JOIN LATERAL (
        SELECT array_agg(e.embedding) AS embeddings, array_agg(e.history) AS histories,
               array_agg(ln(e.seasonality)) AS log_seasonalities,
               array_agg((e.similarity ^ 3
                          * greatest(coalesce(p.popularity, 0), 1e-3) ^ 0.1)::real) AS weights,
               CASE WHEN $3 > $4
                 THEN recs.kriging_weights(array_agg(e.content), array_agg(e.similarity)) END AS kriging
        FROM (
          SELECT x.item_id, x.embedding::vector AS embedding, x.history_embedding::vector AS history,
                 x.content_embedding AS content, x.seasonality,
                 -(x.content_embedding::halfvec(%2$s) <#> n.content) AS similarity
          FROM recs.item_embeddings x
          WHERE x.tenant_id = $1 AND x.model_id = %1$s AND x.source = 'interactions'
            AND x.content_embedding IS NOT NULL
          ORDER BY x.content_embedding::halfvec(%2$s) <#> n.content
          LIMIT %3$s
        ) e
        LEFT JOIN recs.item_popularity p
          ON p.tenant_id = $1 AND p.segment = '' AND p.item_id = e.item_id
        WHERE e.similarity > 0
      ) a
      CROSS JOIN LATERAL (
        SELECT sum((array_fill(k.weight, ARRAY[$4]) || array_fill(k.kriging, ARRAY[$3 - $4]))::vector
                   * k.embedding) AS embedding,
               array_fill((1 / sum(k.weight))::real, ARRAY[$3])::vector
                 * sum(array_fill(k.weight, ARRAY[$3])::vector * k.history) AS history,
               exp(sum(k.kriging * k.log_seasonality))::real AS seasonality
        FROM unnest(a.embeddings, a.histories, a.weights, a.kriging, a.log_seasonalities)
          k (embedding, history, weight, kriging, log_seasonality)
      ) w
      WHERE n.content IS NOT NULL
    )
    INSERT INTO recs.item_embeddings
      (tenant_id, model_id, item_id, embedding, history_embedding, content_embedding, source)
    SELECT $1, %1$s, p.item_id,
           CASE WHEN m.tower_dimension IS NULL THEN l2_normalize(p.embedding)
           ELSE recs.limit_norm(
             -- The parts: two-tower model, associations, popularity (none yet), newness.
             array_fill((m.new_item_tower / m.embedding_scale)::real, ARRAY[m.tower_dimension])::vector
               * l2_normalize(subvector(p.embedding, 1, m.tower_dimension))
             || array_fill(p.seasonality, ARRAY[$3 - m.tower_dimension - 2])::vector
                  * subvector(p.embedding, m.tower_dimension + 1, $3 - m.tower_dimension - 2)
             || ARRAY[0, m.new_item_bias / m.embedding_scale]::real[]::vector) END::halfvec,
           p.history::halfvec, p.content, 'content'
    FROM placed p
    JOIN recs.models m ON m.tenant_id = $1 AND m.model_id = %1$s
    WHERE vector_norm(p.embedding) > 0
    ON CONFLICT (tenant_id, model_id, item_id) DO UPDATE
      SET embedding = excluded.embedding, history_embedding = excluded.history_embedding,
          content_embedding = excluded.content_embedding
      WHERE recs.item_embeddings.source = 'content'$q$,
    p_model_id, v_content_dimension, v_neighbors)
    USING p_tenant_id, p_item_ids, v_dimension, v_plain, v_supplied,
      -- Vectors of the application's own take no words: nor is what reads words needed then.
      CASE WHEN NOT v_supplied THEN recs.text_search_config(p_tenant_id) END;
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  RETURN v_rows;
END
$$;

COMMENT ON FUNCTION recs.place_items(bigint, text[], text) IS
  'Give items that a model version has not learned their vectors, from their content (NULL: all that lack one); returns how many. Inserting an item and activating a version call it.';
