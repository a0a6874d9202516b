"""What goes when an item or a user goes, gets another name or another owner: all of it, at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, text

from recs import Item, Recommender
from recs.training import publishing, versions
from tests import shops
from tests.locks import wait_until_one_waits

N = 40


@pytest.fixture
def ids(engine: Engine) -> list[str]:
    return shops.insert_items(engine, N)


@pytest.fixture
def shop(engine: Engine, ids: list[str]) -> Engine:
    """Return a database with two versions, popularity, and a user 'u' of three items."""
    shops.record(engine, [("u", ids[0]), ("u", ids[1]), ("u", ids[2]), ("v", ids[7])])
    run(engine, "SELECT recs.refresh_popularity()")
    for seed in range(2):
        what = shops.publication(ids, embeddings(seed), histories={"u": [0, 1, 2], "v": [7]})
        shops.publish(engine, what)
    return engine


def embeddings(seed: int) -> np.ndarray:
    return shops.unit(np.random.default_rng(seed).normal(size=(N, 8)))


def run(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def users_with_vectors(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.execute(text("SELECT user_id FROM recs.user_embeddings")).scalars())


def known(connection: Connection) -> list[list[tuple[str, ...]]]:
    """Return vectors, popularity and interactions by item."""
    return [
        [tuple(map(str, row)) for row in connection.execute(text(query))]
        for query in (
            "SELECT item_id, model_id, embedding, source FROM recs.item_embeddings",
            "SELECT item_id, popularity FROM recs.item_popularity",
            "SELECT item_id, user_id FROM recs.interactions",
        )
    ]


def test_what_is_known_of_an_item_follows_its_id(shop: Engine) -> None:
    recommender = Recommender(shop)
    with shop.connect() as connection:
        before = known(connection)
    rows = recommender.recommend("u", N)
    run(shop, "UPDATE recs.items SET item_id = 'item-00' || substr(item_id, 6)"
              " WHERE item_id IN ('item-0', 'item-7')")  # fmt: skip
    renamed = {"item-7": "item-007", "item-0": "item-000"}
    again = recommender.recommend("u", N)
    assert again[0].tier == "model", "the stored sum still fits"
    assert [(row.item_id, row.score) for row in again] == [
        (renamed.get(row.item_id, row.item_id), row.score) for row in rows
    ]
    assert "item-007" in {row.item_id for row in again}
    assert "item-000" not in {row.item_id for row in again}, "u has it already"
    recommender.upsert_items([Item("item-7", title="another thing under an old id")])
    with shop.connect() as connection:
        after = known(connection)
    for was, now in zip(before, after, strict=True):
        assert sorted(now) == sorted((renamed.get(item, item), *rest) for item, *rest in was)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM recs.items WHERE item_id = '{}'",
        "UPDATE recs.items SET item_id = 'new-' || item_id WHERE item_id = '{}'",
    ],
    ids=["delete", "rename"],
)
def test_items_go_while_popularity_is_made_anew_and_nobody_deadlocks(
    shop: Engine, statement: str
) -> None:
    with ThreadPoolExecutor(1) as pool, shop.begin() as connection:
        connection.execute(text(statement.format("item-7")))
        refreshing = pool.submit(run, shop, "SELECT recs.refresh_popularity()")
        wait_until_one_waits(shop, "advisory")
        connection.execute(text(statement.format("item-0")))
        connection.commit()
        refreshing.result(30)
    with shop.connect() as connection:
        popular = set(connection.execute(text("SELECT item_id FROM recs.popular_items")).scalars())
    assert {item.removeprefix("new-") for item in popular} >= {"item-1", "item-2"}
    assert not {"item-0", "item-7"} & popular


def test_an_item_deleted_while_a_version_is_made_has_no_vector_in_it(
    engine: Engine, ids: list[str]
) -> None:
    what = shops.publication(ids, embeddings(0))
    with versions.new_version(engine, name="hand", dimension=8) as model_id:
        run(engine, "DELETE FROM recs.items WHERE item_id = 'item-3'")
        publishing.publish(engine, model_id, what)
    Recommender(engine).upsert_items([Item("item-3", title="something else")])
    run(engine, f"SELECT recs.activate_model({model_id})")
    with engine.connect() as connection:
        learned = connection.execute(text("SELECT item_id FROM recs.item_embeddings")).scalars()
        assert set(learned) == set(ids) - {"item-3"}


def test_two_who_each_delete_a_part_of_what_a_user_did_leave_no_vector(shop: Engine) -> None:
    delete = "DELETE FROM recs.interactions WHERE user_id = 'u' AND item_id {} 'item-0'"
    with ThreadPoolExecutor(1) as pool, shop.begin() as connection:
        connection.execute(text(delete.format("=")))
        other = pool.submit(run, shop, delete.format("<>"))
        wait_until_one_waits(shop, "transactionid")
        connection.commit()
        other.result(30)
    assert users_with_vectors(shop) == {"v"}


def test_a_user_whose_interactions_are_given_to_another_has_no_vector(shop: Engine) -> None:
    run(shop, "UPDATE recs.interactions SET user_id = 'anonymous'"
              " WHERE user_id = 'u' AND item_id = 'item-0'")  # fmt: skip
    assert users_with_vectors(shop) == {"u", "v"}
    run(shop, "UPDATE recs.interactions SET user_id = 'anonymous' WHERE user_id = 'u'")
    assert users_with_vectors(shop) == {"v"}


def test_a_shop_that_is_replicated_logically_may_erase_and_rename(shop: Engine) -> None:
    run(shop, "CREATE PUBLICATION everything FOR ALL TABLES")
    run(shop, "UPDATE recs.items SET item_id = 'renamed' WHERE item_id = 'item-0'")
    run(shop, "DELETE FROM recs.interactions WHERE user_id = 'u'")
    run(shop, "DELETE FROM recs.items WHERE item_id = 'renamed'")
    assert users_with_vectors(shop) == {"v"}


def count(engine: Engine, query: str) -> int:
    with engine.connect() as connection:
        found: int = connection.execute(text(f"SELECT count(*) FROM recs.{query}")).scalar_one()
        return found


def test_of_a_deleted_item_nothing_derived_is_left_in_any_version(shop: Engine) -> None:
    assert count(shop, "item_embeddings WHERE item_id = 'item-0'") == 2
    assert count(shop, "item_popularity WHERE item_id = 'item-0'") == 1
    run(shop, "DELETE FROM recs.items WHERE item_id IN ('item-0', 'item-3')")
    for table in ("item_embeddings", "item_popularity"):
        assert count(shop, f"{table} WHERE item_id IN ('item-0', 'item-3')") == 0
    assert count(shop, "interactions WHERE item_id = 'item-0'") == 1, "history stays"
    assert count(shop, "item_embeddings") == 2 * (N - 2)


def test_what_a_deleted_item_left_does_not_stand_in_the_way_of_one_that_gets_its_id(
    shop: Engine,
) -> None:
    # As a refresh and a training leave it that ran beside the deletion.
    run(shop, "INSERT INTO recs.item_popularity VALUES ('default', '', 'ghost', 99, 99)")
    run(shop, "INSERT INTO recs.item_embeddings SELECT tenant_id, model_id, 'ghost', embedding,"
              " history_embedding, NULL, 1, 'content' FROM recs.item_embeddings"
              " WHERE item_id = 'item-9'")  # fmt: skip
    with shop.connect() as connection:
        before = known(connection)
    run(shop, "UPDATE recs.items SET item_id = 'ghost' WHERE item_id = 'item-0'")
    with shop.connect() as connection:
        after = known(connection)
    for was, now in zip(before, after, strict=True):
        assert sorted(now) == sorted(
            ("ghost" if item == "item-0" else item, *rest) for item, *rest in was if item != "ghost"
        )


def test_a_renamed_item_keeps_the_sums_of_who_took_it_again_before_and_after_the_training(
    shop: Engine, ids: list[str]
) -> None:
    shops.record(shop, [("u", ids[0]), ("u", ids[0])])
    shops.publish(shop, shops.publication(ids, embeddings(2), histories={"u": [0, 1, 2], "v": [7]}))
    shops.record(shop, [("u", ids[0]), ("u", ids[5])], before=-timedelta(days=1))
    shops.record(shop, [("w", ids[0]), ("v", ids[7])], before=timedelta(0))
    set_fingerprints(shop)
    for _ in range(3):
        run(shop, "UPDATE recs.items SET item_id = item_id || '-x' WHERE item_id ~ '^item-[07]'")
        assert Recommender(shop).recommend("u", 1)[0].tier == "model"
        assert Recommender(shop).recommend("v", 1)[0].tier == "model"
    for _ in range(2):
        run(shop, "SELECT recs.roll_back_model()")
        assert Recommender(shop).recommend("u", 1)[0].tier == "model", "an older version too"


def set_fingerprints(engine: Engine) -> None:
    """Have the sums stored in all versions fit what was done up to their training."""
    run(engine, "UPDATE recs.user_embeddings e SET fingerprint = f.print FROM ("
                " SELECT m.model_id, i.user_id, sum(hashtext(i.item_id)::bigint) AS print"
                " FROM recs.models m, recs.interactions i WHERE i.occurred_at <= m.trained_until"
                " GROUP BY 1, 2) f WHERE f.model_id = e.model_id AND f.user_id = e.user_id"
                )  # fmt: skip
