"""Items get another id, and all that is known of them follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, text

from recs import Item, Recommender
from tests import shops
from tests.erasure.conftest import N, count, embeddings, run


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


def set_fingerprints(engine: Engine) -> None:
    """Have the sums stored in all versions fit what was done up to their training."""
    run(engine, "UPDATE recs.user_embeddings e SET fingerprint = f.print FROM ("
                " SELECT m.model_id, i.user_id, sum(hashtext(i.item_id)::bigint) AS print"
                " FROM recs.models m, recs.interactions i WHERE i.occurred_at <= m.trained_until"
                " GROUP BY 1, 2) f WHERE f.model_id = e.model_id AND f.user_id = e.user_id"
                )  # fmt: skip
