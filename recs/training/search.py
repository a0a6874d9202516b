"""How a version finds what is near a user: by its index, or exactly where that misses too much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

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
    """Return how to search the version: by the index, if that finds enough or items are many.

    In the caller's transaction; the version's tables are attached and its row is complete. It makes
    the version's serving function, by the index, to measure it.
    """
    _create_serving_function(driver, model_id)
    items = _count_items(driver, model_id)
    recall = _measure_ann_recall(driver, model_id, items)
    exact = recall is not None and recall < ENOUGH_RECALL and items <= FEW_ITEMS
    return Search(recall, exact)


def keep_search(driver: psycopg.Connection[Any], model_id: int, search: Search) -> None:
    """Make the version's serving function, and write down how it searches."""
    driver.execute(
        "UPDATE recs.models SET exact_search = %s,"
        " metrics = metrics || jsonb_build_object('ann_recall', %s::float8) WHERE model_id = %s",
        [search.exact, search.ann_recall, model_id],
    )
    _create_serving_function(driver, model_id)


def _create_serving_function(driver: psycopg.Connection[Any], model_id: int) -> None:
    driver.execute("SELECT recs.create_serving_function(%s)", [model_id])


def _measure_ann_recall(driver: psycopg.Connection[Any], model_id: int, items: int) -> float | None:
    """Return the mean ann_recall@20 of what serves, over a sample of the version's own users.

    Vectors of users lie elsewhere than those of items: where what tells items apart is nothing that
    a user asks for, a graph between items leads nowhere.
    """
    users = max(SAMPLE // 10, min(SAMPLE, COMPARED // max(items, 1)))
    row = driver.execute(
        "SELECT avg(ann_recall) FROM recs.measure_ann_recall(%s, %s, p_model_id => %s)",
        [K, users, model_id],
    ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate without GROUP BY has one row
    return None if row[0] is None else float(row[0])


def _count_items(driver: psycopg.Connection[Any], model_id: int) -> int:
    query = sql.SQL("SELECT count(*) FROM {}").format(
        versions.partition("item_embeddings", model_id)
    )
    row = driver.execute(query).fetchone()
    assert row is not None  # noqa: S101 - an aggregate without GROUP BY has one row
    return int(row[0])
