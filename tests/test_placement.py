"""Items are placed by their content in the versions that serve, whichever these are by then."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from recs import Item, Recommender
from recs.training import versions
from tests import shops
from tests.locks import wait_until_one_waits


def test_an_insert_whose_snapshot_is_older_than_a_flip_fails(
    engine: Engine, two_versions: list[int]
) -> None:
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.execute(text("SELECT count(*) FROM recs.items"))
        with engine.begin() as activation:
            versions.activate(activation, two_versions[0])
        with pytest.raises(DBAPIError) as caught:
            Recommender(connection).upsert_items([Item("late")])
    assert isinstance(caught.value.orig, psycopg.errors.SerializationFailure)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("known", ["before it was trained", "while it was ready"])
def test_an_insert_whose_snapshot_is_older_than_the_first_activation_fails_and_succeeds_again(
    engine: Engine, level: str, known: str
) -> None:
    what = shops.publication(shops.insert_items(engine, 2), np.eye(2))
    content = np.eye(2, dtype=np.float32)
    what = replace(what, items=replace(what.items, content_embedding=content))
    ready = shops.publish(engine, what, activate=False) if known == "while it was ready" else None
    with engine.connect().execution_options(isolation_level=level) as connection:
        connection.execute(text("SELECT count(*) FROM recs.items"))
        if ready is None:
            shops.publish(engine, what)
        else:
            with engine.begin() as activation:
                versions.activate(activation, ready)
        late = [Item("late", content_vector=(1, 0))]
        with pytest.raises(DBAPIError, match="after this transaction began") as caught:
            Recommender(connection).upsert_items(late)
        assert isinstance(caught.value.orig, psycopg.errors.SerializationFailure)
        connection.rollback()
        Recommender(connection).upsert_items(late)
        placed = connection.execute(
            text("SELECT source FROM recs.item_embeddings WHERE item_id = 'late'")
        )
        assert placed.scalars().all() == ["content"]


def test_looking_for_an_activation_that_the_snapshot_hides_leaves_nothing(engine: Engine) -> None:
    strict = engine.execution_options(isolation_level="REPEATABLE READ")
    for name in ("one", "other"):
        Recommender(strict).upsert_items([Item(name)])
    with engine.connect() as connection:
        assert versions.list_versions(connection) == []
    assert shops.publish(engine, shops.publication(["one", "other"], np.eye(2))) == 1


def test_what_changed_while_another_version_served_is_placed_anew_by_the_one_gone_back_to(
    engine: Engine,
) -> None:
    ids = shops.insert_items(engine, 2)
    content = np.eye(2, dtype=np.float32)
    what = shops.publication(ids, np.eye(2))
    what = replace(what, items=replace(what.items, content_embedding=content))
    versions_of = [shops.publish(engine, what) for _ in range(2)]

    def place(vector: str) -> None:
        with engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO recs.items (item_id, content_vector) VALUES ('new', :vector)"
                    " ON CONFLICT (tenant_id, item_id)"
                    " DO UPDATE SET content_vector = excluded.content_vector"
                ),
                {"vector": vector},
            )

    def served() -> tuple[int, str]:
        with engine.connect() as connection:
            row = connection.execute(
                text(
                    "SELECT m.model_id, e.content_embedding::text FROM recs.item_embeddings e"
                    " JOIN recs.models m USING (model_id)"
                    " WHERE m.state = 'active' AND e.item_id = 'new'"
                )
            ).one()
        return row[0], row[1]

    with engine.begin() as connection:
        versions.roll_back(connection)
    place("[1,0]")
    assert served() == (versions_of[0], "[1,0]")
    with engine.begin() as connection:
        versions.activate(connection, versions_of[1])
    place("[0,1]")
    with engine.begin() as connection:
        versions.roll_back(connection)
    assert served() == (versions_of[0], "[0,1]")


@pytest.fixture
def placed_twice(engine: Engine) -> Engine:
    """Return a shop whose two versions have each placed the item 'new' by its content."""
    ids = shops.insert_items(engine, 2)
    what = shops.publication(ids, np.eye(2))
    content = np.eye(2, dtype=np.float32)
    what = replace(what, items=replace(what.items, content_embedding=content))
    shops.publish(engine, what)
    Recommender(engine).upsert_items([Item("new", "a", "b", {"c": 1}, content_vector=[3.0, 0.0])])
    shops.publish(engine, what)
    return engine


def places(engine: Engine) -> dict[str, str]:
    """Return the content vector of the item 'new' by the state of the version."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT m.state, e.content_embedding::text AS place FROM recs.item_embeddings e"
                " JOIN recs.models m USING (model_id) WHERE e.item_id = 'new'"
            )
        )
        return {row.state: row.place for row in rows}


def test_a_vector_of_the_applications_own_is_taken_at_unit_length(placed_twice: Engine) -> None:
    assert places(placed_twice) == {"retired": "[1,0]", "active": "[1,0]"}


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ("title = 'other'", {"active": "[1,0]"}),
        ("description = 'other'", {"active": "[1,0]"}),
        ("attributes = '{}'", {"active": "[1,0]"}),
        ("content_vector = '[0,2]'", {"active": "[0,1]"}),
        ("title = title, available = false", {"active": "[1,0]", "retired": "[1,0]"}),
    ],
)
def test_what_changes_an_items_content_moves_it_and_takes_it_from_versions_that_do_not_serve(
    placed_twice: Engine, change: str, left: dict[str, str]
) -> None:
    with placed_twice.begin() as connection:
        connection.execute(text(f"UPDATE recs.items SET {change} WHERE item_id = 'new'"))
    assert places(placed_twice) == left


def test_a_learned_item_stays_where_it_is_whatever_becomes_of_its_content(
    placed_twice: Engine,
) -> None:
    learned = text("SELECT to_jsonb(e)::text FROM recs.item_embeddings e"
                   " WHERE e.source = 'interactions' ORDER BY 1")  # fmt: skip
    with placed_twice.begin() as connection:
        before = connection.execute(learned).scalars().all()
        connection.execute(text("UPDATE recs.items SET title = 'x', content_vector = '[1,1]'"))
        placed = "SELECT recs.place_items(model_id, ARRAY['item-0', 'new']) FROM recs.models"
        assert connection.execute(text(placed)).scalars().all() == [1, 1]
        assert connection.execute(learned).scalars().all() == before
    assert len(before) == 4


def test_an_item_inserted_while_a_version_is_activated_is_placed_in_it(
    placed_twice: Engine,
) -> None:
    def activate() -> None:
        with placed_twice.begin() as connection:
            versions.roll_back(connection)

    with ThreadPoolExecutor(1) as pool, placed_twice.begin() as connection:
        Recommender(connection).upsert_items([Item("late", content_vector=[0.0, 1.0])])
        activating = pool.submit(activate)
        wait_until_one_waits(placed_twice, "advisory")
        connection.commit()
        activating.result(30)
    with placed_twice.connect() as connection:
        rows = connection.execute(
            text("SELECT m.state FROM recs.item_embeddings e JOIN recs.models m USING (model_id)"
                 " WHERE e.item_id = 'late' ORDER BY 1")
        ).scalars()  # fmt: skip
        assert rows.all() == ["active", "retired"]


def test_placing_an_item_locks_the_encoder_of_no_other_version(placed_twice: Engine) -> None:
    with placed_twice.begin() as connection:
        if connection.execute(text("SHOW server_version_num")).scalar_one() < "180000":
            pytest.skip("before 18 a function in SQL is planned for whichever version may come")
        connection.execute(
            text("CREATE TABLE recs.other PARTITION OF recs.content_terms FOR VALUES IN (99)")
        )
    with placed_twice.connect() as connection:
        connection.execute(text("INSERT INTO recs.items (item_id, title) VALUES ('another', 'a')"))
        locked = connection.execute(
            text(
                "SELECT c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
                " WHERE l.pid = pg_backend_pid()"
            )
        ).scalars()
        assert {"content_terms", "other"} & set(locked) == {"content_terms"}
