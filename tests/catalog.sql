-- Every object in the schema recs, one row each with its full definition.
SELECT 'relation', c.relname, c.relkind::text, c.relreplident::text || c.relrowsecurity::text || ' ' || coalesce(c.reloptions::text, '')
       || ' ' || coalesce(pg_get_partkeydef(c.oid), ''), obj_description(c.oid, 'pg_class')
FROM pg_class c WHERE c.relnamespace = 'recs'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
UNION ALL
SELECT 'column', a.attrelid::regclass::text,
       -- Its place: numbers have gaps where a column was dropped and made again.
       row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) || ' ' || a.attname,
       format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull || ' ' || a.attidentity::text || ' '
       || coalesce((SELECT collname FROM pg_collation WHERE oid = a.attcollation), '') || ' '
       || coalesce(pg_get_expr(d.adbin, d.adrelid), ''), col_description(a.attrelid, a.attnum)
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid AND c.relnamespace = 'recs'::regnamespace AND c.relkind IN ('r', 'p', 'v')
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), NULL
FROM pg_constraint WHERE connamespace = 'recs'::regnamespace
UNION ALL
SELECT 'index', tablename, indexname, indexdef, NULL FROM pg_indexes WHERE schemaname = 'recs'
UNION ALL
SELECT 'function', p.oid::regprocedure::text, array_to_string(p.proacl, ',') , pg_get_functiondef(p.oid),
       obj_description(p.oid, 'pg_proc')
FROM pg_proc p WHERE p.pronamespace = 'recs'::regnamespace
UNION ALL
SELECT 'view', viewname, '', definition, NULL FROM pg_views WHERE schemaname = 'recs'
UNION ALL
SELECT 'trigger', t.tgrelid::regclass::text, t.tgname, pg_get_triggerdef(t.oid), obj_description(t.oid, 'pg_trigger')
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'recs'::regnamespace AND NOT t.tgisinternal
UNION ALL
SELECT 'policy', tablename, policyname, concat_ws(' ', cmd, roles, qual, with_check), NULL
FROM pg_policies WHERE schemaname = 'recs'
UNION ALL
SELECT 'grant', c.relname, a.grantee::regrole::text, string_agg(a.privilege_type, ',' ORDER BY a.privilege_type), NULL
FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
WHERE c.relnamespace = 'recs'::regnamespace AND a.grantee <> c.relowner GROUP BY 1, 2, 3
ORDER BY 1, 2, 3, 4;
