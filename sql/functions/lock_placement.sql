CREATE OR REPLACE FUNCTION recs.lock_placement() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path FROM CURRENT
AS $$
BEGIN
  PERFORM recs.lock_exclusively(
    recs.placement_lock(recs.current_tenant()), 'written items or erased users');
END
$$;

COMMENT ON FUNCTION recs.lock_placement() IS
  'Wait until no other transaction places, erases or flips in the current tenant, and keep them out until the end of this one. Writing items does not wait behind it, but for a moment. It gives up after lock_timeout.';
