ALTER TABLE recs.audit_events ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS audit_events_tenant ON recs.audit_events;
-- The scalar subselect is evaluated once a statement, not once a row.
CREATE POLICY audit_events_tenant ON recs.audit_events
  USING (tenant_id = (SELECT recs.current_tenant()))
  WITH CHECK (tenant_id = (SELECT recs.current_tenant()));

COMMENT ON POLICY audit_events_tenant ON recs.audit_events IS 'Nobody but the owner sees another tenant''s rows.';
