"""Write-back: a version's vectors into tables of its own, indexed, attached, in one transaction.

Binary COPY into new tables, the HNSW index built once after the load and in parallel, then ATTACH:
nothing of a version is visible before all of it is, and a crash at any point leaves none of it but
its row in recs.models, which the next training marks as failed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from itertools import repeat
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector import HalfVector, Vector
from pgvector.psycopg import register_vector
from psycopg import sql
from sqlalchemy import Connection, Engine

from recs.database import PIN_SEARCH_PATH, driver_connection
from recs.learning.ranking import row_blocks
from recs.training import versions
from recs.training.indexing import IndexOptions, build_indexes
from recs.training.publication import (
    BlendWeights,
    Floats,
    ItemVectors,
    Publication,
    TermVectors,
    check,
    check_history,
)
from recs.training.search import Search, choose_search, keep_search

OnProgress = Callable[[str, int, int], None]

# Their order matters only in that it is the same for all who publish.
_TABLES = ("item_embeddings", "user_embeddings", "content_terms")
_ERASED = (
    ("user_embeddings", "DELETE FROM {} e WHERE NOT EXISTS (SELECT FROM recs.interactions i"
     " WHERE i.tenant_id = e.tenant_id AND i.user_id = e.user_id)"),
    ("item_embeddings", "DELETE FROM {} e WHERE NOT EXISTS (SELECT FROM recs.items i"
     " WHERE i.tenant_id = e.tenant_id AND i.item_id = e.item_id)"),
)  # fmt: skip


def publish(
    engine: Engine,
    model_id: int,
    publication: Publication,
    *,
    index: IndexOptions | None = None,
    on_progress: OnProgress | None = None,
) -> Search:
    """Write a version's vectors, build its index and mark it 'ready', in one transaction.

    The vectors of users without interactions and of items that are not in the catalog go before
    that: these were erased since they were read.

    Returns:
        how it will be searched: by the index, or exactly where that misses too much and items are
        few enough.

    Raises:
        BadInput: vectors of the wrong dimension or norm, NaN, another metric than the schema's.
    """
    check(publication)
    report = on_progress or _silent
    with engine.begin() as connection:
        driver = driver_connection(connection)
        driver.execute(PIN_SEARCH_PATH)
        register_vector(driver)
        versions.require_training(driver, model_id)
        _publish_items(driver, model_id, publication, report)
        _publish_users(driver, model_id, publication, report)
        if publication.terms is not None:
            _publish_terms(driver, model_id, publication.terms, report)
        _build_indexes(driver, model_id, publication.items, index or IndexOptions(), report)
        _analyze(driver, model_id)
        _mark_ready(driver, model_id, publication)
        driver.execute("SELECT recs.create_user_functions(%s)", [model_id])
        search = _choose_search(connection, model_id)
        while not _try_to_attach(connection, model_id, search):
            time.sleep(versions.PAUSE)
    return search


def _choose_search(connection: Connection, model_id: int) -> Search:
    """Choose how the version is searched; for that it is attached, and then no longer.

    Attached, it keeps others from publishing. So it may not be while this waits for transactions of
    its tenant; and once these wait for this, nothing as long as measuring may be left to do.
    """
    driver = driver_connection(connection)
    measuring = connection.begin_nested()
    _attach(driver, model_id)
    search = choose_search(driver, model_id)
    measuring.rollback()
    return search


def _try_to_attach(connection: Connection, model_id: int, search: Search) -> bool:
    """Free the version of who was erased and attach it, or say that its table was in use.

    A deletion that has begun is waited for, however long; one that begins after the version is
    there to be seen, at the caller's commit, takes the vectors along by itself. In between it waits
    for this one, which therefore waits for a table a moment at a time.
    """
    driver = driver_connection(connection)

    def attach() -> None:
        versions.set_lock_timeout(connection, "0")
        versions.lock_placement(connection)
        versions.set_lock_timeout(connection, versions.LOCK_TIMEOUT)
        _forget_erased(driver, model_id)
        _attach(driver, model_id)
        keep_search(driver, model_id, search)

    return versions.done_in_time(connection, attach)


def _forget_erased(driver: psycopg.Connection[Any], model_id: int) -> None:
    """Delete the vectors of users and items that were erased while the version was made."""
    for table, statement in _ERASED:
        driver.execute(sql.SQL(statement).format(versions.partition(table, model_id)))


def _silent(_step: str, _done: int, _total: int) -> None:
    pass


def _create(driver: psycopg.Connection[Any], name: str, model_id: int) -> sql.Identifier:
    # Everything but the indexes: they are built once, after the load.
    target = versions.partition(name, model_id)
    driver.execute(
        sql.SQL(
            "CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING INDEXES,"
            " CONSTRAINT model_id_check CHECK (model_id = {}))"
        ).format(target, sql.Identifier("recs", name), sql.Literal(model_id))
    )
    return target


def _copy(
    driver: psycopg.Connection[Any],
    target: sql.Identifier,
    columns: Mapping[str, str],
    rows: Iterable[Sequence[Any]],
) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary, FREEZE)").format(
        target, sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with driver.cursor().copy(statement) as copy:
        copy.set_types(list(columns.values()))
        for row in rows:
            copy.write_row(row)


def _counted(
    rows: Iterable[Sequence[Any]], step: str, total: int, report: OnProgress
) -> Iterable[Sequence[Any]]:
    for done, row in enumerate(rows):
        if done % 5000 == 0:
            report(step, done, total)
        yield row
    report(step, total, total)


def _publish_items(
    driver: psycopg.Connection[Any], model_id: int, publication: Publication, report: OnProgress
) -> None:
    items = publication.items
    target = _create(driver, "item_embeddings", model_id)
    columns = {
        "model_id": "int8", "item_id": "text", "embedding": "halfvec",
        "history_embedding": "halfvec", "content_embedding": "halfvec",
        "seasonality": "float4", "source": "text",
    }  # fmt: skip
    # An insertion order that follows similarity costs the graph recall; a shuffled one does not.
    order = np.random.default_rng(0).permutation(items.rows)
    rows = zip(
        repeat(model_id),
        (items.item_ids[j] for j in order),
        _half_vectors(items.embedding, order),
        _half_vectors(items.history_embedding, order),
        _half_vectors(items.content_embedding, order, zero_is_null=True),
        repeat(1.0) if items.seasonality is None else items.seasonality[order].tolist(),
        repeat("interactions"),
        strict=False,
    )
    _copy(driver, target, columns, _counted(rows, "write items", len(order), report))
    least, most = publication.norms
    driver.execute(
        sql.SQL(
            "ALTER TABLE {} ADD PRIMARY KEY (tenant_id, model_id, item_id),"
            " ADD CONSTRAINT embedding_check CHECK (vector_dims(embedding) = {d}"
            " AND l2_norm(embedding) BETWEEN {least} AND {most}),"
            " ADD CONSTRAINT history_embedding_check CHECK (vector_dims(history_embedding) = {d})"
        ).format(
            target,
            d=sql.Literal(items.embedding.shape[1]),
            least=sql.Literal(least),
            most=sql.Literal(most),
        )
    )


def _half_vectors(
    vectors: Floats | None, order: NDArray[np.int64], *, zero_is_null: bool = False
) -> Iterator[HalfVector | None]:
    if vectors is None:
        yield from repeat(None, len(order))
        return
    for block in row_blocks(len(order), vectors.shape[1]):
        for row in vectors[order[block]].astype(np.float16):
            yield None if zero_is_null and not row.any() else HalfVector(row)


def _publish_users(
    driver: psycopg.Connection[Any], model_id: int, publication: Publication, report: OnProgress
) -> None:
    users, items = publication.users, publication.items
    target = _create(driver, "user_embeddings", model_id)
    columns = {
        "model_id": "int8", "user_id": "text", "history": "vector",
        "support": "int4", "fingerprint": "int8",
    }  # fmt: skip
    rows = (
        (model_id, user_id, _checked(user_id, history, items), int(support), int(fingerprint))
        for user_id, history, support, fingerprint in zip(
            users.user_ids, users.history, users.support, users.fingerprint, strict=True
        )
    )
    _copy(driver, target, columns, _counted(rows, "write users", len(users.user_ids), report))
    driver.execute(
        sql.SQL(
            "ALTER TABLE {} ADD PRIMARY KEY (tenant_id, model_id, user_id),"
            " ADD CONSTRAINT history_check CHECK (vector_dims(history) = {})"
        ).format(target, sql.Literal(items.embedding.shape[1]))
    )


def _checked(user_id: str, history: Floats, items: ItemVectors) -> Vector:
    check_history(f"the history of user {user_id!r}", history, items)
    return Vector(history)


def _publish_terms(
    driver: psycopg.Connection[Any], model_id: int, terms: TermVectors, report: OnProgress
) -> None:
    target = _create(driver, "content_terms", model_id)
    columns = {
        "model_id": "int8", "term": "text",
        "inverse_document_frequency": "float4", "embedding": "halfvec",
    }  # fmt: skip
    halves = terms.embedding.astype(np.float16)
    rows = (
        (model_id, term, float(terms.inverse_document_frequency[t]), HalfVector(halves[t]))
        for t, term in enumerate(terms.terms)
    )
    _copy(driver, target, columns, _counted(rows, "write terms", len(terms.terms), report))
    driver.execute(
        sql.SQL("ALTER TABLE {} ADD PRIMARY KEY (tenant_id, model_id, term)").format(target)
    )


def _build_indexes(
    driver: psycopg.Connection[Any],
    model_id: int,
    items: ItemVectors,
    options: IndexOptions,
    report: OnProgress,
) -> None:
    content, total = items.content_embedding, len(items.rows)
    report("build index", 0, total)
    build_indexes(
        driver,
        model_id,
        items.embedding.shape[1],
        content_dimension=None if content is None else content.shape[1],
        options=options,
    )
    report("build index", total, total)


def _analyze(driver: psycopg.Connection[Any], model_id: int) -> None:
    for target in _partitions(driver, model_id).values():
        driver.execute(sql.SQL("ANALYZE {}").format(target))


def _attach(driver: psycopg.Connection[Any], model_id: int) -> None:
    for name, target in _partitions(driver, model_id).items():
        driver.execute(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(target))
        driver.execute(
            sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ({})").format(
                sql.Identifier("recs", name), target, sql.Literal(model_id)
            )
        )
        driver.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT model_id_check").format(target))


def _partitions(driver: psycopg.Connection[Any], model_id: int) -> dict[str, sql.Identifier]:
    return {
        name: versions.partition(name, model_id)
        for name in _TABLES
        if versions.has_partition(driver, name, model_id)
    }


def _mark_ready(driver: psycopg.Connection[Any], model_id: int, publication: Publication) -> None:
    content = publication.items.content_embedding
    blend = {} if publication.blend is None else asdict(publication.blend)
    driver.execute(
        "UPDATE recs.models SET state = 'ready', dimension = %(dimension)s, metric = %(metric)s,"
        " content_dimension = %(content_dimension)s, history_half_life = %(history_half_life)s,"
        " popularity_half_life = %(popularity_half_life)s,"
        " trained_until = %(trained_until)s, tower_dimension = %(tower_dimension)s,"
        " tower_weight = %(tower_weight)s, tower_support = %(tower_support)s,"
        " tower_fading = %(tower_fading)s,"
        " low_pass_dimension = %(low_pass_dimension)s, detail_dimension = %(detail_dimension)s,"
        " association_support = %(association_support)s,"
        " popularity_weight = %(popularity_weight)s, new_item_tower = %(new_item_tower)s,"
        " new_item_bias = %(new_item_bias)s, embedding_scale = %(embedding_scale)s,"
        " parameters = parameters || %(parameters)s::jsonb,"
        " metrics = metrics || %(metrics)s::jsonb WHERE model_id = %(model_id)s",
        {
            **{column.name: blend.get(column.name) for column in fields(BlendWeights)},
            "dimension": publication.items.embedding.shape[1],
            "metric": publication.metric,
            "content_dimension": None if content is None else content.shape[1],
            "history_half_life": publication.history_half_life,
            "popularity_half_life": publication.popularity_half_life,
            "trained_until": publication.trained_until,
            "parameters": json.dumps(publication.parameters, default=str),
            "metrics": json.dumps(publication.metrics, default=str),
            "model_id": model_id,
        },
    )
