"""What goes when an item or a user goes: all of it, at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from recs import Interaction, Item, Recommender, User
from recs.database import make_engine
from recs.training import publishing, versions
from tests import shops
from tests.erasure.conftest import N, count, embeddings, run
from tests.locks import wait_until_one_waits


def users_with_vectors(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.execute(text("SELECT user_id FROM recs.user_embeddings")).scalars())


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


def test_what_goes_while_a_version_is_made_goes_though_another_tenant_has_the_same_ids(
    engine: Engine, ids: list[str]
) -> None:
    shops.insert_items(engine, N, tenant="other")
    for tenant in ("default", "other"):
        shops.record(engine, [("goes", ids[0]), ("stays", ids[1])], tenant=tenant)
    what = shops.publication(ids, embeddings(0), histories={"goes": [0], "stays": [1]})
    with versions.new_version(engine, name="hand", dimension=8) as model_id:
        run(engine, "DELETE FROM recs.interactions"
                    " WHERE tenant_id = 'default' AND user_id = 'goes'")  # fmt: skip
        run(engine, "DELETE FROM recs.items WHERE tenant_id = 'default' AND item_id = 'item-3'")
        publishing.publish(engine, model_id, what)
    assert users_with_vectors(engine) == {"stays"}
    assert count(engine, "item_embeddings WHERE item_id = 'item-3'") == 0
    assert count(engine, "item_embeddings") == N - 1


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


def test_no_user_keeps_a_vector_where_all_interactions_are_truncated(shop: Engine) -> None:
    assert users_with_vectors(shop) == {"u", "v"}
    run(shop, "TRUNCATE recs.interactions")
    assert users_with_vectors(shop) == set()


def test_of_a_deleted_item_nothing_derived_is_left_in_any_version(shop: Engine) -> None:
    assert count(shop, "item_embeddings WHERE item_id = 'item-0'") == 2
    assert count(shop, "item_popularity WHERE item_id = 'item-0'") == 1
    run(shop, "DELETE FROM recs.items WHERE item_id IN ('item-0', 'item-3')")
    for table in ("item_embeddings", "item_popularity"):
        assert count(shop, f"{table} WHERE item_id IN ('item-0', 'item-3')") == 0
    assert count(shop, "interactions WHERE item_id = 'item-0'") == 1, "history stays"
    assert count(shop, "item_embeddings") == 2 * (N - 2)


def test_erasing_a_user_takes_all_that_is_known_of_them_and_of_nobody_else(shop: Engine) -> None:
    recommender = Recommender(shop)
    recommender.upsert_users([User("u", segment="France"), User("v", segment="France")])
    assert recommender.erase_user("u") == 3
    assert users_with_vectors(shop) == {"v"}
    with shop.connect() as connection:
        left = [
            set(connection.execute(text(f"SELECT user_id FROM recs.{table}")).scalars())
            for table in ("users", "interactions")
        ]
    assert left == [{"v"}, {"v"}]
    assert recommender.recommend("u", 1)[0].tier == "popularity"


def test_erasing_a_user_of_whom_nothing_is_known_does_nothing(shop: Engine) -> None:
    assert Recommender(shop).erase_user("nobody") == 0
    assert users_with_vectors(shop) == {"u", "v"}


def test_erasing_a_user_leaves_another_tenants_user_of_that_name(shop: Engine) -> None:
    run(shop, "INSERT INTO recs.tenants (tenant_id) VALUES ('acme')")
    acme = Recommender(shop, tenant_id="acme")
    acme.upsert_items([Item("anvil")])
    acme.upsert_users([User("u")])
    acme.record_interactions([Interaction("u", "anvil")])
    assert Recommender(shop).erase_user("u") == 3
    assert acme.erase_user("u") == 1


@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("seen", ["nothing", "training"])
@pytest.mark.parametrize("erasure", ["SELECT recs.erase_user('u')", "TRUNCATE recs.interactions"])
def test_who_is_erased_by_a_snapshot_that_lacks_a_version_is_not_left_in_it(
    shop: Engine, ids: list[str], isolation: str, seen: str, erasure: str
) -> None:
    what = shops.publication(ids, embeddings(3), histories={"u": [0, 1, 2], "v": [7]})
    with shop.connect().execution_options(isolation_level=isolation) as erasing:
        if seen == "nothing":
            erasing.execute(text("SELECT FROM recs.models"))
        with versions.new_version(shop, name="new", dimension=8) as model_id:
            erasing.execute(text("SELECT FROM recs.models"))
            publishing.publish(shop, model_id, what)
        with pytest.raises(DBAPIError) as caught:
            erasing.execute(text(erasure))
    assert isinstance(caught.value.orig, psycopg.errors.SerializationFailure)
    assert users_with_vectors(shop) == {"u", "v"}


def test_interactions_truncated_by_a_snapshot_that_lacks_a_version_of_a_tenant_without_a_row_stay(
    shop: Engine, ids: list[str]
) -> None:
    run(shop, "DELETE FROM recs.models; DELETE FROM recs.tenants")
    what = shops.publication(ids, embeddings(3), histories={"u": [0]})
    with shop.connect().execution_options(isolation_level="REPEATABLE READ") as erasing:
        erasing.execute(text("SELECT FROM recs.models"))
        with versions.new_version(shop, name="new", dimension=8) as model_id:
            publishing.publish(shop, model_id, what)
        with pytest.raises(DBAPIError) as caught:
            erasing.execute(text("TRUNCATE recs.interactions"))
    assert isinstance(caught.value.orig, psycopg.errors.SerializationFailure)


def test_interactions_truncated_by_a_snapshot_that_lacks_another_tenants_version_stay(
    shop: Engine, dsn: str
) -> None:
    run(shop, "INSERT INTO recs.tenants (tenant_id) VALUES ('acme')")
    ids = shops.insert_items(shop, N, tenant="acme")
    shops.record(shop, [("u", ids[0])], tenant="acme")
    acme = make_engine(dsn, tenant_id="acme")
    what = shops.publication(ids, embeddings(3), histories={"u": [0]})
    with shop.connect().execution_options(isolation_level="REPEATABLE READ") as erasing:
        erasing.execute(text("SELECT FROM recs.models"))
        with versions.new_version(acme, name="new", dimension=8) as model_id:
            publishing.publish(acme, model_id, what)
        with pytest.raises(DBAPIError) as caught:
            erasing.execute(text("TRUNCATE recs.interactions"))
    assert isinstance(caught.value.orig, psycopg.errors.SerializationFailure)


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_who_is_erased_by_a_snapshot_that_has_every_version_is_gone_from_all(
    shop: Engine, isolation: str
) -> None:
    with shop.begin() as connection:
        versions.drop_version(connection, max(shops.states(shop)) - 1)
        # Numbers that no version has, of trainings that were rolled back.
        connection.execute(
            text("SELECT nextval('recs.models_model_id_seq') FROM generate_series(1, 9)")
        )
    erasing = shop.connect().execution_options(isolation_level=isolation)
    with versions.new_version(shop, name="under way", dimension=8), erasing:
        erasing.execute(text("SELECT FROM recs.models"))
        erasing.execute(text("SELECT recs.erase_user('u')"))
        erasing.commit()
    assert users_with_vectors(shop) == {"v"}
