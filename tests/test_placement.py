"""Placing items, publishing, activating, erasing and rolling back at once: who waits for whom."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from recs import Item, Recommender
from recs.database import driver_connection
from recs.training import versions
from tests import shops
from tests.locks import wait_until_one_waits

_LOCK = text("SELECT pg_advisory_xact_lock(recs.placement_lock(recs.current_tenant()))")


@pytest.fixture
def two_versions(engine: Engine) -> list[int]:
    """Return the retired and the active version of a shop."""
    ids = shops.insert_items(engine, 10)
    vectors = np.random.default_rng(0).normal(size=(10, 8))
    return [shops.publish(engine, shops.publication(ids, vectors)) for _ in range(2)]


def test_a_roll_back_waits_for_an_activation_and_does_not_deadlock(
    engine: Engine, two_versions: list[int]
) -> None:
    retired, active = two_versions
    gone_back_to: list[int] = []

    def roll_back() -> None:
        with engine.begin() as connection:
            gone_back_to.append(versions.roll_back(connection))

    thread = threading.Thread(target=roll_back)
    with engine.begin() as connection:
        connection.execute(_LOCK)  # as activate_model() does first
        thread.start()
        wait_until_one_waits(engine, "advisory")
        versions.activate(connection, retired)
    thread.join(30)
    assert gone_back_to == [active]


def test_an_update_that_places_nothing_does_not_wait_for_an_activation(
    engine: Engine, two_versions: list[int]
) -> None:
    with engine.begin() as activation, engine.begin() as connection:
        versions.activate(activation, two_versions[0])
        connection.execute(text("SET LOCAL lock_timeout = '2s'"))
        connection.execute(text("UPDATE recs.items SET available = false WHERE item_id = 'item-1'"))


@pytest.mark.parametrize("flip", ["activate", "roll back", "start a trial"])
def test_items_are_written_while_a_flip_waits_for_a_transaction_that_wrote_some(
    engine: Engine, two_versions: list[int], flip: str
) -> None:
    retired = two_versions[0]
    said: list[tuple[str | None, str | None]] = []

    def run() -> None:
        with engine.begin() as connection:
            driver_connection(connection).add_notice_handler(
                lambda notice: said.append((notice.message_primary, notice.message_hint))
            )
            if flip == "activate":
                versions.activate(connection, retired)
            elif flip == "roll back":
                versions.roll_back(connection)
            else:
                versions.start_trial(connection, retired, 0.5)

    with ThreadPoolExecutor(1) as pool, engine.begin() as connection:
        pid = driver_connection(connection).info.backend_pid
        Recommender(connection).upsert_items([Item("one")])
        flipping = pool.submit(run)
        wait_until_one_waits(engine, "advisory")
        for n in range(20):
            with engine.begin() as other:
                other.execute(text("SET LOCAL lock_timeout = '900ms'"))
                Recommender(other).upsert_items([Item(f"other-{n}")])
        end = time.monotonic() + 20
        while not said and time.monotonic() < end:
            time.sleep(0.05)
        assert not flipping.done()
        connection.commit()
        flipping.result(30)
    assert said == [
        (
            "waiting for transactions that have written items or erased users, and go on",
            f"which: SELECT * FROM pg_stat_activity WHERE pid = ANY ('{{{pid}}}')",
        )
    ]


def test_an_activation_gives_up_after_lock_timeout_and_changes_neither_versions_nor_that(
    engine: Engine, two_versions: list[int]
) -> None:
    with engine.begin() as writing, engine.begin() as connection:
        Recommender(writing).upsert_items([Item("one")])
        connection.execute(text("SET LOCAL lock_timeout = '700ms'"))
        with pytest.raises(DBAPIError) as caught, connection.begin_nested():
            versions.activate(connection, two_versions[0])
        assert isinstance(caught.value.orig, psycopg.errors.LockNotAvailable)
        states = [one.state for one in versions.list_versions(connection)]
        assert states == ["active", "retired"]
        writing.rollback()
        versions.activate(connection, two_versions[0])
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "700ms"


def test_who_waited_to_activate_has_the_lock_timeout_of_before(
    engine: Engine, two_versions: list[int]
) -> None:
    def run() -> str:
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '25s'"))
            versions.activate(connection, two_versions[0])
            return str(connection.execute(text("SHOW lock_timeout")).scalar_one())

    with ThreadPoolExecutor(1) as pool, engine.begin() as writing:
        Recommender(writing).upsert_items([Item("one")])
        activating = pool.submit(run)
        wait_until_one_waits(engine, "advisory")
        writing.commit()
        assert activating.result(30) == "25s"


def test_who_wrote_items_may_activate_and_of_two_one_goes_through(
    engine: Engine, two_versions: list[int]
) -> None:
    retired, active = two_versions
    with engine.begin() as connection:
        Recommender(connection).upsert_items([Item("one")])
        versions.activate(connection, retired)
    both_wrote = threading.Barrier(2)

    def run(name: str) -> None:
        with engine.begin() as connection:
            Recommender(connection).upsert_items([Item(name)])
            both_wrote.wait(30)
            versions.activate(connection, active)

    with ThreadPoolExecutor(2) as pool:
        activating = [pool.submit(run, name) for name in ("two", "three")]
        [failure] = filter(None, [one.exception(30) for one in activating])
    assert isinstance(failure, DBAPIError)
    assert isinstance(failure.orig, psycopg.errors.DeadlockDetected)


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


def test_an_item_renamed_while_another_version_is_activated_leaves_no_vector_of_its_old_id(
    engine: Engine,
) -> None:
    what = shops.publication(shops.insert_items(engine, 2), np.eye(2))
    content = np.eye(2, dtype=np.float32)
    what = replace(what, items=replace(what.items, content_embedding=content))
    shops.publish(engine, what)
    Recommender(engine).upsert_items([Item("new", content_vector=(1, 0))])
    ready = shops.publish(engine, what, activate=False)

    def rename() -> None:
        with engine.begin() as connection:
            connection.execute(
                text("UPDATE recs.items SET item_id = 'newer' WHERE item_id = 'new'")
            )

    with ThreadPoolExecutor(1) as pool, engine.begin() as activation:
        versions.activate(activation, ready)  # places it by the name that it has until then
        renaming = pool.submit(rename)
        wait_until_one_waits(engine, "advisory")
        activation.commit()
        renaming.result(30)
    with engine.connect() as connection:
        placed = connection.execute(
            text("SELECT item_id FROM recs.item_embeddings WHERE model_id = :id"), {"id": ready}
        )
        assert set(placed.scalars()) == {"item-0", "item-1", "newer"}


def test_items_are_inserted_side_by_side(engine: Engine, two_versions: list[int]) -> None:
    assert two_versions
    with engine.begin() as one, engine.begin() as other:
        for connection in (one, other):
            connection.execute(text("SET LOCAL lock_timeout = '2s'"))
        Recommender(one).upsert_items([Item("one")])
        Recommender(other).upsert_items([Item("other")])


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM recs.items WHERE item_id = 'item-1'",
        "DELETE FROM recs.interactions WHERE user_id = 'u'",
        "UPDATE recs.items SET item_id = 'renamed' WHERE item_id = 'item-1'",
    ],
)
def test_a_change_before_an_insert_and_a_drop_of_a_version_do_not_deadlock(
    engine: Engine, two_versions: list[int], change: str
) -> None:
    retired, _ = two_versions

    def drop() -> None:
        with engine.begin() as connection:
            versions.drop_version(connection, retired)

    shops.record(engine, [("u", "item-2")])
    with ThreadPoolExecutor(1) as pool, engine.begin() as connection:
        connection.execute(text(change))
        dropping = pool.submit(drop)
        wait_until_one_waits(engine, "advisory")
        Recommender(connection).upsert_items([Item("late")])
        connection.commit()
        dropping.result(30)
    with engine.connect() as connection:
        assert [one.state for one in versions.list_versions(connection)] == ["active"]


def test_who_is_erased_while_a_version_is_made_has_no_vector_in_it(engine: Engine) -> None:
    ids = shops.insert_items(engine, 10)
    shops.record(engine, [("stays", ids[0]), ("goes", ids[1])])
    what = shops.publication(
        ids,
        np.random.default_rng(0).normal(size=(10, 8)),
        histories={"stays": [0], "goes": [1], "gone": [2]},
    )
    with ThreadPoolExecutor(1) as pool, engine.connect() as erasing:
        erasing.execute(text("DELETE FROM recs.interactions WHERE user_id = 'goes'"))
        publishing = pool.submit(shops.publish, engine, what)
        wait_until_one_waits(engine, "advisory")
        erasing.commit()
        publishing.result(30)
    with engine.connect() as connection:
        left = connection.execute(text("SELECT user_id FROM recs.user_embeddings"))
        assert left.scalars().all() == ["stays"]


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
