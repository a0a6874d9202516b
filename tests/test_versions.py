"""Model versions: published whole, flipped at once, rolled back, never mixed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from recs import Recommender
from recs.errors import BadInput
from recs.training import publishing, versions
from recs.training.indexing import IndexOptions
from recs.training.publication import BlendWeights, UserVectors
from tests import shops

N = 60
PARTS = BlendWeights(
    tower_dimension=4,
    tower_weight=0.8,
    tower_support=100.0,
    tower_fading=1e6,
    low_pass_dimension=0,
    detail_dimension=0,
    association_support=5.0,
    popularity_weight=0.03,
    new_item_tower=0.15,
    new_item_bias=0.05,
    embedding_scale=1.0,
)
ONE = np.ones(1, np.int64)


@pytest.fixture
def ids(engine: Engine) -> list[str]:
    return shops.insert_items(engine, N)


def vectors(seed: int, dimension: int = 8) -> np.ndarray:
    return shops.unit(np.random.default_rng(seed).normal(size=(N, dimension)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "l2"}, "metric 'l2' is not served"),
        (
            {"users": UserVectors(["u"], np.zeros((1, 9), np.float32), ONE, ONE)},
            "the history of user 'u' has dimension 9, expected 8",
        ),
        (
            {"users": UserVectors(["u"], np.full((1, 8), np.nan, np.float32), ONE, ONE)},
            "the history of user 'u' has NaN or infinity",
        ),
    ],
)
def test_a_publication_that_does_not_fit_is_refused(
    engine: Engine, ids: list[str], change: dict[str, object], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        shops.publish(engine, replace(shops.publication(ids, vectors(4)), **change))
    assert set(shops.states(engine).values()) == {"failed"}


def test_a_vector_that_is_not_of_norm_one_is_refused_by_name(
    engine: Engine, ids: list[str]
) -> None:
    what = shops.publication(ids, vectors(4))
    long = what.items.embedding.copy()
    long[17] *= 3
    with pytest.raises(BadInput, match=r"'item-17' has norm 3, expected 1"):
        shops.publish(engine, replace(what, items=replace(what.items, embedding=long)))


def test_items_that_were_not_learned_are_not_published(engine: Engine, ids: list[str]) -> None:
    what = shops.publication(ids, vectors(4))
    unknown = what.items.embedding.copy()
    unknown[17] = 0
    learned = np.arange(N) != 17
    items = replace(what.items, embedding=unknown, history_embedding=unknown, learned=learned)
    shops.publish(engine, replace(what, items=items))
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT item_id, embedding::real[] AS q FROM recs.item_embeddings")
        )
        published = {row.item_id: row.q for row in rows}
    assert set(published) == set(ids) - {"item-17"}
    assert published["item-18"] == pytest.approx(unknown[18], abs=1e-3)


def test_vectors_of_parts_may_be_shorter_than_one_and_no_longer(
    engine: Engine, ids: list[str]
) -> None:
    what = replace(shops.publication(ids, vectors(4)), blend=PARTS)
    items = what.items
    long = replace(items, embedding=1.5 * items.embedding)
    with pytest.raises(BadInput, match=r"'item-0' has norm 1.5, expected 1 at most"):
        shops.publish(engine, replace(what, items=long))
    short = replace(items, embedding=items.embedding / 3)
    shops.publish(engine, replace(what, items=short))
    with engine.begin() as connection, pytest.raises(DBAPIError, match="embedding_check"):
        connection.execute(text("UPDATE recs.item_embeddings SET embedding = '[2,0,0,0,0,0,0,0]'"))


@pytest.mark.parametrize("bad", ["[1,0]", "[3,0,0,0,0,0,0,0]"])
def test_the_database_itself_refuses_vectors_that_do_not_fit_the_version(
    engine: Engine, ids: list[str], bad: str
) -> None:
    model_id = shops.publish(engine, shops.publication(ids, vectors(4)))
    with engine.begin() as connection, pytest.raises(DBAPIError) as caught:
        connection.execute(
            text("UPDATE recs.item_embeddings SET embedding = CAST(:v AS halfvec)"
                 " WHERE model_id = :id AND item_id = 'item-1'"),
            {"v": bad, "id": model_id},
        )  # fmt: skip
    assert isinstance(
        caught.value.orig, psycopg.errors.CheckViolation | psycopg.errors.DataException
    )


def test_an_answer_locks_the_partitions_of_the_version_that_serves_and_no_others(
    engine: Engine, ids: list[str]
) -> None:
    shops.record(engine, [("u", ids[0]), ("late", ids[1])])
    for seed in range(3):
        what = shops.publication(ids, vectors(seed), histories={"u": [0]})
        serving = shops.publish(engine, what)
    locked = text(
        "SELECT DISTINCT c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
        " WHERE l.pid = pg_backend_pid() AND c.relkind = 'r' AND c.relname ~ '_embeddings_[0-9]+$'"
    )
    with engine.connect() as connection:
        connection.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
        for user in ("u", "late", "stranger"):
            Recommender(connection).recommend(user, 5)
        Recommender(connection).similar_items(ids[0], 5)
        assert set(connection.execute(locked).scalars()) == {
            f"item_embeddings_{serving}", f"user_embeddings_{serving}",
        }  # fmt: skip


def test_the_hnsw_index_is_built_with_the_options_given(engine: Engine, ids: list[str]) -> None:
    options = IndexOptions(m=8, ef_construction=40)
    with versions.new_version(engine, name="small", dimension=8) as model_id:
        publishing.publish(engine, model_id, shops.publication(ids, vectors(4)), index=options)
    with engine.connect() as connection:
        found = connection.execute(
            text(
                "SELECT c.relname, c.reloptions FROM pg_class c JOIN pg_am a ON a.oid = c.relam"
                " WHERE a.amname = 'hnsw' AND c.relkind = 'i' AND c.relname LIKE :name"
            ),
            {"name": f"item_embeddings_{model_id}_%"},
        ).all()
    assert {name: set(given) for name, given in found} == {
        f"item_embeddings_{model_id}_{vectors_of}embedding_idx": {"m=8", "ef_construction=40"}
        for vectors_of in ("", "new_")
    }


def test_a_version_leaves_the_planner_knowing_what_is_in_its_tables(
    engine: Engine, ids: list[str]
) -> None:
    what = shops.publication(ids, vectors(4), histories={"u": [0], "v": [1], "w": [2]})
    shops.record(engine, [(user, ids[0]) for user in "uvw"])
    with versions.new_version(engine, name="v", dimension=8) as model_id:
        publishing.publish(engine, model_id, what)
    with engine.connect() as connection:
        known = connection.execute(
            text("SELECT tablename, attname FROM pg_stats WHERE schemaname = 'recs'")
        ).all()
    assert {
        (f"item_embeddings_{model_id}", "source"),
        (f"user_embeddings_{model_id}", "support"),
    } <= {tuple(row) for row in known}


def test_a_row_of_a_version_holds_what_was_learned_of_that_item_or_user(
    engine: Engine, ids: list[str]
) -> None:
    what = shops.publication(ids, vectors(4))
    random = np.random.default_rng(0)
    content = vectors(5, dimension=6)
    content[3] = 0
    items = replace(
        what.items,
        history_embedding=3 * vectors(6),
        content_embedding=content,
        seasonality=random.uniform(0.5, 2, N).astype(np.float32),
        learned=np.arange(N) % 10 != 0,
    )
    users = UserVectors(
        ["u", "v"], vectors(7)[:2], np.array([4, 9], np.int32), np.array([-5, 2**40])
    )
    shops.record(engine, [("u", ids[0]), ("v", ids[0])])
    with versions.new_version(engine, name="v", dimension=8) as model_id:
        publishing.publish(engine, model_id, replace(what, items=items, users=users))
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT item_id, embedding::real[], history_embedding::real[],"
                " content_embedding::real[], seasonality, source"
                " FROM recs.item_embeddings ORDER BY ctid"
            )
        ).all()
        known = connection.execute(
            text("SELECT user_id, history::real[], support, fingerprint FROM recs.user_embeddings")
        ).all()
    written = [ids.index(row[0]) for row in rows]
    assert sorted(written) == np.flatnonzero(items.learned).tolist()
    assert written != sorted(written), "an order that follows similarity costs the graph recall"
    for j, (_, embedding, history, said, season, source) in zip(written, rows, strict=True):
        np.testing.assert_allclose(embedding, items.embedding[j], atol=1e-3)
        np.testing.assert_allclose(history, items.history_embedding[j], atol=3e-3)
        assert season == pytest.approx(items.seasonality[j])
        assert source == "interactions"
        if j == 3:
            assert said is None, "of no content nothing is near"
        else:
            np.testing.assert_allclose(said, content[j], atol=1e-3)
    for row, name in enumerate("uv"):
        (found,) = (one for one in known if one[0] == name)
        np.testing.assert_allclose(found[1], users.history[row], atol=1e-6)
        assert tuple(found[2:]) == (users.support[row], users.fingerprint[row])


def test_as_many_histories_as_users_are_published_or_none(engine: Engine, ids: list[str]) -> None:
    users = UserVectors(["u", "v"], vectors(7)[:1], np.ones(2, np.int32), np.zeros(2, int))
    with pytest.raises(ValueError, match="shorter"):
        shops.publish(engine, replace(shops.publication(ids, vectors(4)), users=users))
    assert set(shops.states(engine).values()) == {"failed"}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE recs.item_embeddings SET history_embedding = '[1,0]'",
        "UPDATE recs.user_embeddings SET history = '[1,0]'",
    ],
)
def test_the_database_itself_refuses_histories_of_another_dimension(
    engine: Engine, ids: list[str], statement: str
) -> None:
    shops.record(engine, [("u", ids[0])])
    shops.publish(engine, shops.publication(ids, vectors(4), histories={"u": [0]}))
    with engine.begin() as connection, pytest.raises(DBAPIError) as caught:
        connection.execute(text(statement))
    assert isinstance(caught.value.orig, psycopg.errors.CheckViolation)
