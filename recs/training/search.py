"""How a version finds what is near a user: by its index, or exactly where that misses too much."""

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
class Search:
    """How a version is searched: ann_recall@20 of its index, None without users to ask for."""

    ann_recall: float | None
    exact: bool


def choose_search(driver: psycopg.Connection[Any], model_id: int) -> Search:
    """Make the version's serving function; by the index, if that finds enough or items are many.

    In the caller's transaction; the version's tables are attached and its row is complete.
    """
    _create_serving_function(driver, model_id)
    items = _count_items(driver, model_id)
    recall = _measure_ann_recall(driver, model_id, items)
    exact = recall is not None and recall < ENOUGH_RECALL and items <= FEW_ITEMS
    driver.execute(
        "UPDATE recs.models SET exact_search = %s,"
        " metrics = metrics || jsonb_build_object('ann_recall', %s::float8) WHERE model_id = %s",
        [exact, recall, model_id],
    )
    if exact:
        _create_serving_function(driver, model_id)
    return Search(recall, exact)


def _create_serving_function(driver: psycopg.Connection[Any], model_id: int) -> None:
    driver.execute("SELECT recs.create_serving_function(%s)", [model_id])


def _measure_ann_recall(driver: psycopg.Connection[Any], model_id: int, items: int) -> float | None:
    """Compute the mean ann_recall@20 of what serves, over a sample of the version's own users.

    Vectors of users lie elsewhere than those of items: where what tells items apart is nothing that
    a user asks for, a graph between items leads nowhere.
    """
    users = max(SAMPLE // 10, min(SAMPLE, COMPARED // max(items, 1)))
    sample = driver.execute(_SAMPLED_USERS, {"model_id": model_id, "users": users}).fetchall()
    if not sample:
        return None
    served = sql.SQL(
        "SELECT item_id FROM {}(recs.current_tenant(), '', %(vector)s, %(k)s, true, NULL)"
    ).format(sql.Identifier("recs", f"nearest_items_{model_id}"))
    number: dict[str, int] = {}
    lists = np.full((2, len(sample), K), PADDING, np.int64)
    for user, (vector,) in enumerate(sample):
        for found, query in zip(lists, (served, sql.SQL(_EXACT).format()), strict=True):
            asked = {"model_id": model_id, "vector": vector, "k": K}
            for place, (item,) in enumerate(driver.execute(query, asked)):
                found[user, place] = number.setdefault(item, len(number))
    return float(ann_recall_at_k(lists[0], lists[1], k=K).mean())


_SAMPLED_USERS = """
SELECT l2_normalize(recs.blend_user(u.history, u.support, m))::halfvec
FROM recs.user_embeddings u
JOIN recs.models m ON m.tenant_id = u.tenant_id AND m.model_id = u.model_id
WHERE u.tenant_id = recs.current_tenant() AND u.model_id = %(model_id)s
ORDER BY hashtextextended(u.user_id, 0) LIMIT %(users)s"""

# The index is on a cast to the dimension; without that cast this is an exact search.
_EXACT = """
SELECT e.item_id
FROM recs.item_embeddings e
JOIN recs.items i ON i.tenant_id = e.tenant_id AND i.item_id = e.item_id AND i.available
WHERE e.tenant_id = recs.current_tenant() AND e.model_id = %(model_id)s
ORDER BY e.embedding <#> %(vector)s LIMIT %(k)s"""


def _count_items(driver: psycopg.Connection[Any], model_id: int) -> int:
    query = sql.SQL("SELECT count(*) FROM {}").format(
        versions.partition("item_embeddings", model_id)
    )
    row = driver.execute(query).fetchone()
    assert row is not None  # noqa: S101 - an aggregate without GROUP BY has one row
    return int(row[0])
