"""Who waits for whom where items are placed, versions flipped, made and dropped at once."""

from __future__ import annotations

import re
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
from recs.cli import main
from recs.database import driver_connection
from recs.training import placement, versions
from tests import shops
from tests.locks import wait_until_one_waits


@pytest.fixture
def placed(engine: Engine) -> tuple[int, int]:
    """Return a retired version that lacks five new items, and the active one, which has them."""
    ids = shops.insert_items(engine, 4)
    what = shops.publication(ids, np.eye(4))
    content = np.eye(4, dtype=np.float32)
    what = replace(what, items=replace(what.items, content_embedding=content))
    first, second = (shops.publish(engine, what) for _ in range(2))
    Recommender(engine).upsert_items(
        Item(f"new-{n}", content_vector=[1.0, 0, 0, 0]) for n in range(5)
    )
    return first, second


_LOCK = text("SELECT pg_advisory_xact_lock(recs.placement_lock(recs.current_tenant()))")


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
            connection.execute(text("SET LOCAL lock_timeout = '60s'"))
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
        end = time.monotonic() + 5  # until the tries are as long as they become; it is said once
        while time.monotonic() < end:
            with engine.begin() as other:
                other.execute(text("SET LOCAL lock_timeout = '900ms'"))
                Recommender(other).upsert_items([Item("other", f"{time.monotonic()}")])
        assert not flipping.done()
        connection.commit()
        flipping.result(30)
    [(message, hint)] = said
    assert message == (
        "waiting for transactions that have written items or erased users, and go on"
    )
    # At that moment one of the others may have it, too.
    assert str(pid) in re.findall(r"\d+", str(hint))


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


def test_items_are_deleted_while_popularity_waits_for_a_transaction_that_deleted_some(
    engine: Engine, two_versions: list[int]
) -> None:
    delete = text("DELETE FROM recs.items WHERE item_id = :item")

    def refresh() -> None:
        with engine.begin() as connection:
            connection.execute(text("SELECT recs.refresh_popularity()"))

    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as first:
            first.execute(delete, {"item": "item-1"})
            refreshed = pool.submit(refresh)
            wait_until_one_waits(engine, "advisory")
            with engine.begin() as second:
                second.execute(text("SET LOCAL lock_timeout = '5s'"))
                second.execute(delete, {"item": "item-2"})
            assert not refreshed.done()
        refreshed.result(30)


def test_items_that_a_version_lacks_are_placed_a_few_at_a_time_before_it_serves(
    engine: Engine, placed: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    retired, _ = placed
    monkeypatch.setattr(placement, "BATCH", 2)
    told: list[tuple[str, int, int]] = []

    def write(*step: object) -> None:
        with engine.begin() as connection:  # between two batches nobody waits
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            connection.execute(
                text("UPDATE recs.items SET title = 'other' WHERE item_id = 'new-0'")
            )
        told.append(step)  # type: ignore[arg-type]

    placement.place_missing(engine, retired, on_progress=write)
    assert told == [("place new items", done, 5) for done in (2, 4, 5)]
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT item_id FROM recs.item_embeddings WHERE model_id = :id"
                 " AND source = 'content' ORDER BY 1"), {"id": retired},
        ).scalars().all()  # fmt: skip
    assert found == [f"new-{n}" for n in range(1, 5)], "what changed since lost its place"


@pytest.mark.parametrize("command", ["activate", "start-trial", "roll-back"])
def test_a_flip_by_command_finds_next_to_nothing_left_to_place(
    engine: Engine, dsn: str, placed: tuple[int, int], command: str
) -> None:
    retired, _ = placed
    given = {"roll-back": [], "activate": [retired], "start-trial": [retired, "--share", "0.5"]}
    with engine.begin() as connection:  # who flips writes down what is placed by then
        connection.execute(text("CREATE TABLE public.seen (n bigint)"))
        connection.execute(
            text("CREATE FUNCTION public.look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                 " INSERT INTO public.seen SELECT count(*) FROM recs.item_embeddings"
                 f" WHERE model_id = {retired} AND source = 'content'; RETURN NULL; END $$")
        )  # fmt: skip
        connection.execute(
            text("CREATE TRIGGER look AFTER UPDATE ON recs.models FOR EACH STATEMENT"
                 " EXECUTE FUNCTION public.look()")
        )  # fmt: skip
    main(["--dsn", dsn, "models", command, *map(str, given[command])])
    with engine.connect() as connection:
        assert connection.execute(text("SELECT min(n) FROM public.seen")).scalar_one() == 5
