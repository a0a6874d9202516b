-- What views, triggers and policies are now, and what they were when all of them were applied last;
-- recs.files says of what files.
SELECT set_config('recs.applied',
         'the revision of the tables; views, triggers and policies: ' || md5(
           current_setting('recs.files') || coalesce(string_agg(d.definition, E'\n' ORDER BY d.definition), '')),
         true),
       obj_description(to_regclass('recs.alembic_version'), 'pg_class')
FROM (
  SELECT concat_ws(' ', c.oid::regclass, c.reloptions::text, pg_get_viewdef(c.oid)) AS definition
  FROM pg_class c WHERE c.relnamespace = 'recs'::regnamespace AND c.relkind = 'v'
  UNION ALL
  SELECT concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled)
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
  WHERE c.relnamespace = 'recs'::regnamespace AND NOT t.tgisinternal AND t.tgparentid = 0
  UNION ALL
  SELECT concat_ws(' ', c.oid::regclass, c.relrowsecurity, p.policyname, p.permissive, p.roles::text,
                   p.cmd, p.qual, p.with_check)
  FROM pg_policies p JOIN pg_class c ON c.relname = p.tablename
  WHERE p.schemaname = 'recs' AND c.relnamespace = 'recs'::regnamespace
) d;
