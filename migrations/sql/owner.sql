-- Functions of recs run as their owner and call others of the schema: whoever else owns one of these,
-- the schema, or may create in it, would act as that owner.
DO $$
DECLARE
  v_schema record;
  v_others text;
  v_remedy text;
BEGIN
  SELECT n.oid, n.nspacl, n.nspowner, pg_get_userbyid(n.nspowner) AS owner INTO v_schema
    FROM pg_namespace n WHERE n.nspname = 'recs';
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF v_schema.owner <> current_user THEN
    RAISE insufficient_privilege USING
      MESSAGE = format('the schema recs is owned by %I, expected %I, who migrates',
                       v_schema.owner, current_user),
      HINT = format('nothing has changed; run it as the owner: PGOPTIONS=''-c role=%s'' recs migrate; '
                    'or, if that is not to be %I: ALTER SCHEMA recs OWNER TO %I',
                    v_schema.owner, v_schema.owner, current_user);
  END IF;
  SELECT string_agg(DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, ', ')
    INTO v_others
    FROM aclexplode(v_schema.nspacl) a
    WHERE a.privilege_type = 'CREATE' AND a.grantee <> v_schema.nspowner;
  IF v_others IS NOT NULL THEN
    RAISE insufficient_privilege USING
      MESSAGE = format('%s may create in the schema recs, expected nobody but %I, who migrates',
                       v_others, current_user),
      HINT = format('nothing has changed; REVOKE CREATE ON SCHEMA recs FROM %s', v_others);
  END IF;
  SELECT string_agg(DISTINCT pg_get_userbyid(o.owner)::text, ', '),
         string_agg(format('ALTER %s OWNER TO %I', o.name, current_user), '; ' ORDER BY o.name)
    INTO v_others, v_remedy
    FROM (
      SELECT 'pg_proc'::regclass AS catalog, p.oid, p.proowner AS owner,
             'ROUTINE ' || p.oid::regprocedure AS name
      FROM pg_proc p WHERE p.pronamespace = v_schema.oid
      UNION ALL
      SELECT 'pg_class', c.oid, c.relowner, 'TABLE ' || c.oid::regclass
      FROM pg_class c
      WHERE c.relnamespace = v_schema.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        -- The sequence of a column follows its table.
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                        AND d.objid = c.oid AND d.deptype IN ('a', 'i') AND c.relkind = 'S')
      UNION ALL
      SELECT 'pg_operator', p.oid, p.oprowner, 'OPERATOR ' || p.oid::regoperator
      FROM pg_operator p WHERE p.oprnamespace = v_schema.oid
      UNION ALL
      SELECT 'pg_type', t.oid, t.typowner, 'TYPE ' || t.oid::regtype
      FROM pg_type t
      WHERE t.typnamespace = v_schema.oid AND t.typcategory <> 'A'
        AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c')
    ) o
    WHERE o.owner <> v_schema.nspowner
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.catalog AND d.objid = o.oid
                      AND d.deptype = 'e');
  IF v_others IS NOT NULL THEN
    RAISE insufficient_privilege USING
      MESSAGE = format('%s owns objects in the schema recs, expected nobody but %I, who migrates',
                       v_others, current_user),
      HINT = format('nothing has changed; drop what is not of recs; of the rest: %s', v_remedy);
  END IF;
END
$$;
