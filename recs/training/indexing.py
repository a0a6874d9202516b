"""The indexes of the items of a version, built once after the load and in parallel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from recs.training import versions


@dataclass(frozen=True)
class IndexOptions:
    """How the HNSW index is built. `ef_construction` buys more recall than `ef_search` does.

    Args:
        maintenance_work_mem: at least; a server that is set to more keeps that. A graph that does
            not fit is built many times slower.
        max_parallel_maintenance_workers: at least, too.
    """

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
    ask_for_room(driver, options)
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


def ask_for_room(driver: psycopg.Connection[Any], options: IndexOptions) -> None:
    """Raise what a build may take to that of the options, until the transaction ends."""
    driver.execute(
        "SELECT set_config('maintenance_work_mem', %(memory)s, true)"
        " WHERE pg_size_bytes(current_setting('maintenance_work_mem')) < pg_size_bytes(%(memory)s)",
        {"memory": options.maintenance_work_mem},
    )
    driver.execute(
        "SELECT set_config('max_parallel_maintenance_workers', %(workers)s::text, true)"
        " WHERE current_setting('max_parallel_maintenance_workers')::integer < %(workers)s",
        {"workers": options.max_parallel_maintenance_workers},
    )


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
