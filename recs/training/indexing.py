"""The indexes of the items of a version, built once after the load and in parallel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from psycopg import sql

from recs.metrics import PADDING, ann_recall_at_k
from recs.training import versions

K = 20
SAMPLE = 100  # users
COMPARED = 2_000_000  # distances of the exact search, about: fewer users where items are many
ENOUGH_RECALL = 0.9  # of the index; where it finds less, all items are compared while they are few
FEW_ITEMS = 100_000  # comparing so many takes as long as a page may


@dataclass(frozen=True)
class IndexOptions:
    """How the HNSW index is built. `ef_construction` buys more recall than `ef_search` does."""

    m: int = 16
    ef_construction: int = 200
    maintenance_work_mem: str = "1GB"
    max_parallel_maintenance_workers: int = 2


def build_indexes(
    driver: psycopg.Connection[Any],
    model_id: int,
    dimension: int,
    *,
    content_dimension: int | None,
    options: IndexOptions,
) -> None:
    """Build the indexes of a version's items within the caller's transaction.

    Settings of the build last as long as that transaction.
    """
    for setting in ("maintenance_work_mem", "max_parallel_maintenance_workers"):
        driver.execute("SELECT set_config(%s, %s, true)", [setting, str(getattr(options, setting))])
    learned = sql.SQL("source = 'interactions'")
    # What has only content lies in an index of its own: among learned items it would be a dense
    # cluster that a graph search gets lost in, and this one stays as it was built. While such
    # items are few they are searched exactly, found by the B-tree.
    new = sql.SQL("source = 'content'")
    driver.execute(
        sql.SQL("CREATE INDEX {} ON {} (tenant_id) WHERE {}").format(
            sql.Identifier(f"item_embeddings_{model_id}_new_idx"),
            versions.partition("item_embeddings", model_id),
            new,
        )
    )
    _create_hnsw_index(driver, model_id, "embedding", dimension, options, where=learned)
    _create_hnsw_index(driver, model_id, "embedding", dimension, options, where=new, prefix="new_")
    if content_dimension is not None:
        _create_hnsw_index(
            driver, model_id, "content_embedding", content_dimension, options, where=learned
        )


def measure_ann_recall(driver: psycopg.Connection[Any], model_id: int) -> float | None:
    """Compute the mean ann_recall@20 of the index, over a sample of the version's own users.

    Vectors of users lie elsewhere than those of items: where most items are of a few users each,
    hardly anything but chance tells them apart, and a graph between such items leads nowhere. None
    where the version has no users. Its row in recs.models has to be complete.
    """
    items = _count(driver, "item_embeddings", model_id)
    users = max(SAMPLE // 10, min(SAMPLE, COMPARED // max(items, 1)))
    vectors = driver.execute(_SAMPLED_USERS, {"model_id": model_id, "users": users}).fetchall()
    if not vectors:
        return None
    number: dict[str, int] = {}

    def nearest(order: sql.Composable) -> np.ndarray:
        query = sql.SQL(
            "SELECT item_id FROM recs.item_embeddings WHERE model_id = %s"
            " AND tenant_id = recs.current_tenant() AND source = 'interactions'"
            " ORDER BY {} LIMIT %s"
        ).format(order)
        lists = np.full((len(vectors), K), PADDING, np.int64)
        for row, (vector,) in enumerate(vectors):
            for place, (item,) in enumerate(driver.execute(query, [model_id, vector, K])):
                lists[row, place] = number.setdefault(item, len(number))
        return lists

    dimension = sql.Literal(vectors[0][0].dimensions())
    exact = nearest(sql.SQL("embedding <#> %s"))
    driver.execute(
        "SELECT set_config('hnsw.ef_search', '200', true),"
        " set_config('hnsw.iterative_scan', 'strict_order', true),"
        " set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true)"
    )
    found = nearest(sql.SQL("embedding::halfvec({}) <#> %s").format(dimension))
    return float(ann_recall_at_k(found, exact, k=K).mean())


_SAMPLED_USERS = """
SELECT l2_normalize(recs.blend_user(u.history, u.support, m))::halfvec
FROM recs.user_embeddings u
JOIN recs.models m ON m.tenant_id = u.tenant_id AND m.model_id = u.model_id
WHERE u.tenant_id = recs.current_tenant() AND u.model_id = %(model_id)s
ORDER BY hashtextextended(u.user_id, 0) LIMIT %(users)s"""


def _count(driver: psycopg.Connection[Any], name: str, model_id: int) -> int:
    query = sql.SQL("SELECT count(*) FROM {}").format(versions.partition(name, model_id))
    row = driver.execute(query).fetchone()
    assert row is not None  # noqa: S101 - an aggregate without GROUP BY has one row
    return int(row[0])


def _create_hnsw_index(
    driver: psycopg.Connection[Any],
    model_id: int,
    column: str,
    dimension: int,
    options: IndexOptions,
    *,
    where: sql.SQL,
    prefix: str = "",
) -> None:
    """Build an HNSW index of one vector column, of some rows of a version's partition."""
    driver.execute(
        sql.SQL(
            "CREATE INDEX {} ON {} USING hnsw (({}::halfvec({})) halfvec_ip_ops)"
            " WITH (m = {}, ef_construction = {}) WHERE {}"
        ).format(
            sql.Identifier(f"item_embeddings_{model_id}_{prefix}{column}_idx"),
            versions.partition("item_embeddings", model_id),
            sql.Identifier(column),
            sql.Literal(dimension),
            sql.Literal(options.m),
            sql.Literal(options.ef_construction),
            where,
        )
    )
