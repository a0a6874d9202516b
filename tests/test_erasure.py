"""What goes when an item or a user goes, gets another name or another owner: all of it, at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import numpy as np
import psycopg
import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from recs import Interaction, Item, Recommender, User
from recs.database import make_engine
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


def test_a_statement_that_renames_many_items_reads_interactions_once(shop: Engine) -> None:
    for statement in (
        "CREATE TABLE updates (n integer)",
        "CREATE FUNCTION count_update() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN INSERT INTO public.updates VALUES (1); RETURN NULL; END $$",
        "CREATE TRIGGER count_update AFTER UPDATE ON recs.interactions"
        " FOR EACH STATEMENT EXECUTE FUNCTION count_update()",
        # no longer in the order of their ids
        "UPDATE recs.items SET available = false WHERE item_id IN ('item-7', 'item-3', 'item-30')",
        "UPDATE recs.items SET available = true",
    ):
        run(shop, statement)
    with shop.connect() as connection:
        before = known(connection)
    rows = Recommender(shop).recommend("u", N)
    run(shop, "UPDATE recs.items SET title = 'x', item_id = CASE WHEN hashtext(item_id) % 3 = 0"
              " THEN item_id ELSE md5(item_id) END")  # fmt: skip
    with shop.connect() as connection:
        md5 = connection.execute(
            text(
                "SELECT id, CASE WHEN hashtext(id) % 3 = 0 THEN id ELSE md5(id) END"
                " FROM unnest(CAST(:ids AS text[])) id"
            ),
            {"ids": shops.item_ids(N)},
        )
        renamed: dict[str, str] = {row[0]: row[1] for row in md5}
        after = known(connection)
        assert connection.execute(text("SELECT count(*) FROM updates")).scalar_one() == 1
    assert 10 < sum(old != new for old, new in renamed.items()) < N
    for was, now in zip(before, after, strict=True):
        assert sorted(now) == sorted((renamed[item], *rest) for item, *rest in was)
    again = Recommender(shop).recommend("u", N)
    assert {row.tier for row in again} == {"model"}, "the stored sum still fits"
    assert sorted((renamed[row.item_id], row.score) for row in rows) == sorted(
        (row.item_id, row.score) for row in again
    )


def test_an_item_may_take_the_id_that_another_gives_up_in_the_same_statement(shop: Engine) -> None:
    with shop.connect() as connection:
        before = known(connection)
    renamed = {"item-0": "item-x", "item-1": "item-0", "item-2": "item-1", "item-7": "item-y"}
    run(shop, "UPDATE recs.items SET item_id = CASE item_id WHEN 'item-0' THEN 'item-x'"
              " WHEN 'item-1' THEN 'item-0' WHEN 'item-2' THEN 'item-1' ELSE 'item-y' END"
              " WHERE item_id IN ('item-0', 'item-1', 'item-2', 'item-7')")  # fmt: skip
    with shop.connect() as connection:
        after = known(connection)
    for was, now in zip(before, after, strict=True):
        assert sorted(now) == sorted((renamed.get(item, item), *rest) for item, *rest in was)
    assert Recommender(shop).recommend("u", 1)[0].tier == "model"


def test_one_statement_renames_items_of_two_tenants(shop: Engine) -> None:
    shops.insert_items(shop, 2, tenant="other")
    shops.record(shop, [("u", "item-0")], tenant="other")
    run(shop, "UPDATE recs.items SET item_id = tenant_id || item_id WHERE item_id = 'item-0'")
    with shop.connect() as connection:
        found = connection.execute(
            text("SELECT tenant_id, item_id FROM recs.interactions WHERE item_id LIKE '%item-0'")
        )
        assert {(row[0], row[1]) for row in found} == {
            ("default", "defaultitem-0"), ("other", "otheritem-0")
        }  # fmt: skip


def test_a_new_item_that_gets_another_id_and_other_content_is_placed_by_that(
    engine: Engine,
) -> None:
    what = shops.publication(shops.insert_items(engine, 2), np.eye(2))
    content = np.eye(2, dtype=np.float32)
    shops.publish(engine, replace(what, items=replace(what.items, content_embedding=content)))
    Recommender(engine).upsert_items([Item("new", content_vector=(1, 0))])
    run(engine, "UPDATE recs.items SET item_id = 'newer', content_vector = '[0,1]'"
                " WHERE item_id = 'new'")  # fmt: skip
    with engine.connect() as connection:
        placed = connection.execute(
            text(
                "SELECT item_id, content_embedding::text FROM recs.item_embeddings"
                " WHERE source = 'content'"
            )
        )
        assert [tuple(row) for row in placed] == [("newer", "[0,1]")]


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


@pytest.mark.parametrize("recorded", ["before the rename", "after the rename"])
def test_what_others_record_of_an_item_while_it_is_renamed_stays_and_can_be_taken_along(
    shop: Engine, recorded: str
) -> None:
    record = text("SELECT recs.record_interaction('late', 'item-5')")
    rename = text("UPDATE recs.items SET item_id = 'item-005' WHERE item_id = 'item-5'")
    with shop.connect() as recording, shop.connect() as renaming:
        for connection in (recording, renaming):
            connection.execute(text("SET LOCAL lock_timeout = '2s'"))  # neither waits
        if recorded == "before the rename":
            recording.execute(record)
            renaming.execute(rename)
            renaming.commit()
            recording.commit()
        else:
            renaming.execute(rename)
            recording.execute(record)
            recording.commit()
            renaming.commit()
    assert count(shop, "interactions WHERE user_id = 'late' AND item_id = 'item-5'") == 1
    assert "item-005" in {row.item_id for row in Recommender(shop).recommend("late", N)}
    run(shop, "UPDATE recs.interactions SET item_id = 'item-005' WHERE item_id = 'item-5'")
    rows = Recommender(shop).recommend("late", N)
    assert "item-005" not in {row.item_id for row in rows}, "it is known of the user"
    assert rows[0].tier == "fold_in"


def set_fingerprints(engine: Engine) -> None:
    """Have the sums stored in all versions fit what was done up to their training."""
    run(engine, "UPDATE recs.user_embeddings e SET fingerprint = f.print FROM ("
                " SELECT m.model_id, i.user_id, sum(hashtext(i.item_id)::bigint) AS print"
                " FROM recs.models m, recs.interactions i WHERE i.occurred_at <= m.trained_until"
                " GROUP BY 1, 2) f WHERE f.model_id = e.model_id AND f.user_id = e.user_id"
                )  # fmt: skip


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
