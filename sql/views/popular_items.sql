CREATE OR REPLACE VIEW recs.popular_items WITH (security_invoker = true) AS
SELECT p.tenant_id, p.segment, p.item_id, i.title, p.popularity, p.support
FROM recs.item_popularity p
JOIN recs.items i ON i.tenant_id = p.tenant_id AND i.item_id = p.item_id AND i.available
WHERE p.tenant_id = (SELECT recs.current_tenant());

COMMENT ON VIEW recs.popular_items IS
  'What a stranger is shown: available items by time-decayed popularity. Ask with WHERE segment = '''' (all users) ORDER BY popularity DESC LIMIT k.';
