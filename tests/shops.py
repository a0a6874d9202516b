"""A small shop with vectors made by hand, published the way training publishes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Engine, text

from recs import Interaction, Item, Recommender
from recs.training import publishing, versions
from recs.training.publication import ItemVectors, Publication, UserVectors

TRAINED_UNTIL = datetime(2024, 6, 1, tzinfo=UTC)


def unit(rows: np.ndarray) -> np.ndarray:
    """Return rows of norm 1."""
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def item_ids(count: int) -> list[str]:
    """Return the ids of the items that `insert_items` inserts."""
    return [f"item-{j}" for j in range(count)]


def insert_items(engine: Engine, count: int, *, tenant: str = "default") -> list[str]:
    """Insert `count` items; every third is red."""
    ids = item_ids(count)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO recs.items (tenant_id, item_id, title, attributes)"
                " SELECT :tenant, id, 'title of ' || id,"
                " jsonb_build_object('colour', CASE n % 3 WHEN 1 THEN 'red' ELSE 'blue' END)"
                " FROM unnest(CAST(:ids AS text[])) WITH ORDINALITY AS new (id, n)"
            ),
            {"ids": ids, "tenant": tenant},
        )
    return ids


def record(
    engine: Engine,
    events: Sequence[tuple[str, str]],
    *,
    before: timedelta = timedelta(days=1),
    tenant: str = "default",
) -> None:
    """Insert interactions that occurred `before` TRAINED_UNTIL (negative: after)."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO recs.interactions (tenant_id, user_id, item_id, occurred_at)"
                " SELECT :tenant, u, i, :at"
                " FROM unnest(CAST(:users AS text[]), CAST(:items AS text[])) e (u, i)"
            ),
            {
                "users": [user for user, _ in events],
                "items": [item for _, item in events],
                "at": TRAINED_UNTIL - before,
                "tenant": tenant,
            },
        )


def fill_with_groups(engine: Engine) -> None:
    """Insert 48 items in four groups, and 80 users who keep to one each; nothing is dated."""
    recommender = Recommender(engine)
    recommender.upsert_items(Item(f"{group}-{n}") for group in "abcd" for n in range(12))
    random = np.random.default_rng(0)
    recommender.record_interactions(
        Interaction(f"user-{u}", f"{'abcd'[u % 4]}-{n}")
        for u in range(80)
        for n in random.choice(12, 6, replace=False)
    )


def publication(
    ids: Sequence[str],
    embedding: np.ndarray,
    *,
    histories: Mapping[str, Sequence[int]] | None = None,
    half_life: float | None = None,
    **changes: Any,
) -> Publication:
    """Return a publication whose users are plain sums of the items at the given positions."""
    embedding = unit(embedding)
    histories = histories or {}
    sums = [embedding[list(items)].sum(0) for items in histories.values()]
    counts = np.array([len(items) for items in histories.values()], np.int32)
    prints = np.zeros(len(histories), np.int64)
    dimension = embedding.shape[1]
    return Publication(
        items=ItemVectors(ids, embedding, embedding, None),
        users=UserVectors(
            list(histories), np.array(sums, np.float32).reshape(-1, dimension), counts, prints
        ),
        terms=None,
        **{
            "history_half_life": half_life,
            "trained_until": TRAINED_UNTIL,
            **changes,
        },
    )


def publish(engine: Engine, what: Publication, *, activate: bool = True, name: str = "hand") -> int:
    """Publish a version and make it active; return its model_id."""
    with versions.new_version(engine, name=name, dimension=what.items.embedding.shape[1]) as id_:
        publishing.publish(engine, id_, what)
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE recs.user_embeddings u SET fingerprint ="
                " (SELECT sum(hashtext(i.item_id)::bigint) FROM recs.interactions i"
                "  WHERE i.tenant_id = u.tenant_id AND i.user_id = u.user_id)"
            )
        )
    if activate:
        with engine.begin() as connection:
            versions.activate(connection, id_)
    return id_


def publish_two(engine: Engine) -> list[int]:
    """Publish a shop of ten items twice; return the retired and the active version."""
    ids = insert_items(engine, 10)
    vectors = np.random.default_rng(0).normal(size=(10, 8))
    return [publish(engine, publication(ids, vectors)) for _ in range(2)]


def first_choice(engine: Engine) -> str:
    """Return the item that is served as most like the first one."""
    return Recommender(engine).similar_items("item-0", 1)[0].item_id


def nearest_to_first(embedding: np.ndarray) -> str:
    """Return the item that is most like the first one."""
    return f"item-{np.argsort(-(embedding @ embedding[0]))[1]}"


def states(engine: Engine) -> dict[int, str]:
    """Return the state of every version."""
    with engine.connect() as connection:
        return {v.model_id: v.state for v in versions.list_versions(connection)}


def place(engine: Engine, vectors: Mapping[str, np.ndarray]) -> None:
    """Give new items a vector in the active version, as their content would."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO recs.item_embeddings"
                " (tenant_id, model_id, item_id, embedding, history_embedding)"
                " SELECT tenant_id, model_id, :item, CAST(:vector AS vector)::halfvec,"
                " CAST(:vector AS vector)::halfvec FROM recs.models WHERE state = 'active'"
            ),
            [{"item": item, "vector": str(row.tolist())} for item, row in vectors.items()],
        )
