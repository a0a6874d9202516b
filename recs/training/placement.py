"""Items that came after a version was trained get their place in it before it serves."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine, text

from recs.training.versions import lock_placement

OnProgress = Callable[[str, int, int], None]
BATCH = 25  # a quarter of a second, for which who writes items waits
_MISSING = text("""
SELECT i.item_id FROM recs.items i
WHERE i.tenant_id = recs.current_tenant()
  AND NOT EXISTS (SELECT FROM recs.item_embeddings e
                  WHERE e.tenant_id = i.tenant_id AND e.model_id = :id AND e.item_id = i.item_id)
ORDER BY i.item_id""")


def place_missing(engine: Engine, model_id: int, *, on_progress: OnProgress | None = None) -> None:
    """Place the items that a version lacks, a few a transaction.

    Activating it and starting its trial place what is missing too, but nobody writes items until
    they are done: so most is done before. An item that is changed meanwhile loses its place again,
    as in any version that does not serve, and is placed with the rest.
    """
    missing = missing_items(engine, model_id)
    for first in range(0, len(missing), BATCH):
        items = missing[first : first + BATCH]
        with engine.begin() as connection:
            # Who changes an item takes its place from the version, and has to see it.
            lock_placement(connection)
            connection.execute(
                text("SELECT recs.place_items(:id, :items)"), {"id": model_id, "items": items}
            )
        if on_progress:
            on_progress("place new items", first + len(items), len(missing))


def missing_items(engine: Engine, model_id: int) -> list[str]:
    """Return the ids of the catalog that have no place in a version."""
    with engine.connect() as connection:
        return list(connection.execute(_MISSING, {"id": model_id}).scalars())
