"""What fills a list where no vector answers: popular in the segment, popular, newest."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from recs import Interaction, Item, Recommender, User
from recs.learning import Interactions
from recs.learning.popularity import popularity
from tests import shops


def refresh(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("SELECT recs.refresh_popularity()"))


def test_a_stranger_gets_what_is_popular(shop: Recommender) -> None:
    rows = shop.recommend("nobody", 5)
    assert [row.item_id for row in rows] == [f"item-{j}" for j in (59, 58, 57, 56, 55)]
    assert {row.tier for row in rows} == {"popularity"}
    assert rows[0].reason == "popular: 21 users"


def test_a_stranger_of_a_segment_gets_what_is_popular_there(
    shop: Recommender, engine: Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO recs.users (user_id, segment) VALUES"
                " ('crowd-0', 'north'), ('crowd-1', 'north'), ('stranger', 'north')"
            )
        )
        connection.execute(text("DELETE FROM recs.interactions WHERE user_id = 'crowd-1'"))
        connection.execute(text("SELECT recs.refresh_popularity()"))
    rows = shop.recommend("stranger", 25)
    assert [row.tier for row in rows[:20]] == ["segment_popularity"] * 20
    assert rows[0].reason == "popular in north: 1 user"
    assert len({row.item_id for row in rows}) == 25


@pytest.mark.parametrize(
    ("of_tenant", "of_model", "days"), [(None, None, 40.0), (None, 5.0, 5.0), (2.0, 5.0, 2.0)]
)
def test_popularity_fades_as_the_tenant_says_else_as_the_model_found_else_as_histories_do(
    engine: Engine, of_tenant: float | None, of_model: float | None, days: float
) -> None:
    ids = shops.insert_items(engine, 2)
    shops.record(engine, [("somebody", ids[0])], before=timedelta(days=11))
    shops.record(engine, [("somebody", ids[1])], before=timedelta(days=1))
    what = shops.publication(ids, np.eye(2), half_life=40.0, popularity_half_life=of_model)
    shops.publish(engine, what)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE recs.tenants SET popularity_half_life = :days"), {"days": of_tenant}
        )
        connection.execute(text("SELECT recs.refresh_popularity()"))
        older, newer = connection.execute(
            text("SELECT popularity FROM recs.popular_items ORDER BY item_id")
        ).scalars()
    assert older / newer == pytest.approx(0.5 ** (10 / days), rel=1e-4)


def test_an_item_that_was_deleted_stays_forgotten_when_popularity_is_refreshed(
    shop: Recommender, engine: Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM recs.items WHERE item_id = 'item-59'"))
        connection.execute(text("SELECT recs.refresh_popularity()"))
        rows = connection.execute(text("SELECT item_id FROM recs.item_popularity")).scalars().all()
    assert "item-58" in rows
    assert "item-59" not in rows


def test_popularity_until_no_time_is_that_until_now(shop: Recommender, engine: Engine) -> None:
    before = shop.popular_items(100)
    with engine.begin() as connection:
        connection.execute(text("SELECT recs.refresh_popularity(NULL)"))
    assert shop.popular_items(100) == before


def test_one_date_to_come_does_not_make_all_others_equally_old(engine: Engine) -> None:
    ids = shops.insert_items(engine, 3)
    day, now = timedelta(days=1), datetime.now(UTC)
    Recommender(engine).record_interactions(
        Interaction("somebody", item, occurred_at=now + age * day)
        for item, age in zip(ids, (36500, -1, -121), strict=True)
    )
    with engine.begin() as connection:
        connection.execute(text("SELECT recs.refresh_popularity()"))
        found = dict(
            connection.execute(text("SELECT item_id, popularity FROM recs.item_popularity")).all()  # type: ignore[arg-type]
        )
    assert found[ids[0]] == 1
    assert found[ids[1]] == pytest.approx(2 * found[ids[2]], rel=1e-3)
    assert found[ids[1]] == pytest.approx(0.5 ** (1 / 120), rel=1e-3)


def test_a_tenant_without_a_row_is_treated_as_one_whose_row_has_defaults(engine: Engine) -> None:
    for tenant in ("absent", "present"):
        ids = shops.insert_items(engine, 2, tenant=tenant)
        shops.record(engine, [("u", ids[0])], before=timedelta(days=300), tenant=tenant)
        shops.record(engine, [("u", ids[1])], tenant=tenant)
    answers = []
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO recs.tenants (tenant_id) VALUES ('present')"))
        for tenant in ("absent", "present"):
            connection.execute(
                text("SELECT set_config('recs.tenant_id', :tenant, true)"), {"tenant": tenant}
            )
            connection.execute(text("SELECT recs.refresh_popularity()"))
            rows = connection.execute(
                text("SELECT item_id, popularity, recs.text_search_config(tenant_id)::text"
                     " FROM recs.item_popularity WHERE tenant_id = :tenant ORDER BY 1"),
                {"tenant": tenant},
            )  # fmt: skip
            answers.append([tuple(row) for row in rows])
    assert answers[0] == answers[1]
    assert answers[0][0][1] < answers[0][1][1]


@pytest.mark.parametrize("half_life", [50.0, 139.9, 140.0, 400.0])
def test_popularity_is_what_training_takes_for_it(engine: Engine, half_life: float) -> None:
    ids = shops.insert_items(engine, 40)
    generator = np.random.default_rng(3)
    days = generator.choice([0.0, 100.0, 244.9, 245.1, 300.0, 384.9, 385.1, 700.0], (30, 40))
    days[0, 0] = 0.0  # the newest, which ages are counted from
    again = generator.random((30, 40)) < 0.3  # who took it long before, too
    for age in np.unique(days):
        who = [(f"u{u}", ids[i]) for u, i in zip(*np.nonzero(days == age), strict=True)]
        shops.record(engine, who, before=timedelta(days=float(age)))
    before = [(f"u{u}", ids[i]) for u, i in zip(*np.nonzero(again), strict=True)]
    shops.record(engine, before, before=timedelta(days=900))
    users, items = (part.astype(np.int32) for part in np.indices(days.shape).reshape(2, -1))
    data = Interactions.from_pairs(
        users, items, n_users=30, n_items=40, last_occurred_at=-days.ravel()
    )
    shops.publish(engine, shops.publication(ids, np.eye(40), half_life=half_life))
    with engine.begin() as connection:
        connection.execute(text("SELECT recs.refresh_popularity()"))
        rows = connection.execute(text("SELECT item_id, popularity FROM recs.popular_items"))
        found = {row.item_id: row.popularity for row in rows}
    sold = np.array([found[item] for item in ids])
    expected = popularity(data, half_life_days=half_life)
    np.testing.assert_allclose(sold / sold.max(), expected, rtol=1e-4)


def test_an_empty_catalog_gives_no_rows(engine: Engine) -> None:
    assert Recommender(engine).recommend("anyone", 10) == []


def test_a_catalog_without_interactions_gives_its_newest_items(engine: Engine) -> None:
    shops.insert_items(engine, 3)
    rows = Recommender(engine).recommend("anyone", 10)
    assert [(row.tier, row.rank) for row in rows] == [
        ("catalog", 1),
        ("catalog", 2),
        ("catalog", 3),
    ]


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize("filter_", [None, {"colour": "red"}])
def test_popular_items_come_in_order_whatever_the_planner_knows(
    engine: Engine, analyzed: bool, filter_: dict[str, str] | None
) -> None:
    # The table of items is small in the planner's eyes until it is analyzed, and not in truth.
    ids = shops.insert_items(engine, 3000)
    order = np.random.default_rng(0).permutation(len(ids))
    shops.record(engine, [(f"u{n}", ids[j]) for n in range(30) for j in order[: 3000 - 100 * n]])
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT recs.refresh_popularity()"))
        if analyzed:
            connection.execute(text("VACUUM ANALYZE"))
        expected = connection.execute(
            text(
                "SELECT p.item_id FROM recs.item_popularity p JOIN recs.items i USING (item_id)"
                " WHERE i.attributes @> coalesce(CAST(:filter AS jsonb), '{}')"
                " ORDER BY p.popularity DESC, p.item_id LIMIT 50"
            ),
            {"filter": filter_ and json.dumps(filter_)},
        ).scalars()
        rows = Recommender(connection).recommend("nobody", 50, filter=filter_)
        assert [row.item_id for row in rows] == expected.all()


@pytest.mark.parametrize("colour", ["red", "gold"])
@pytest.mark.parametrize("user", ["nobody", "of the segment", "buyer of the segment"])
def test_what_passes_a_filter_is_ordered_by_segment_popularity_and_age(
    shop: Recommender, engine: Engine, user: str, colour: str
) -> None:
    # Gold is what a few popular items, one bought in the segment alone, and untouched ones are.
    gold = [3, 41, 44, 50, 59, 80, 81, 119]
    shop.upsert_items(Item(f"item-{j}", attributes={"colour": "gold"}) for j in gold)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO recs.users (user_id, segment) SELECT u, 's' FROM unnest(ARRAY["
                " 'of the segment', 'buyer of the segment', 'crowd-1', 'crowd-2', 'crowd-3']) u"
            )
        )
        connection.execute(
            text("UPDATE recs.items SET created_at = created_at - random() * interval '1 day'")
        )
    shops.record(engine, [("buyer of the segment", f"item-{j}") for j in (3, 44, 57)])
    with engine.begin() as connection:
        connection.execute(text("SELECT recs.refresh_popularity()"))
        # Whom no vector answers: strangers, and whoever the model's user vectors say nothing of.
        connection.execute(text("UPDATE recs.models SET state = 'retired'"))
        expected = _ordered_by_popularity(connection, user, colour)
    assert len(expected) >= 5
    for k in range(1, len(expected) + 2):
        rows = shop.recommend(user, k, filter={"colour": colour})
        assert [row.item_id for row in rows] == expected[:k]


def _ordered_by_popularity(connection: Connection, user: str, colour: str) -> list[str]:
    """Return all that passes, in the order that fill_recommendations promises, sorted here."""
    segment = connection.execute(
        text("SELECT segment FROM recs.users WHERE user_id = :u"), {"u": user}
    ).scalar()
    popular = {
        (row.segment, row.item_id): row.popularity
        for row in connection.execute(
            text("SELECT segment, item_id, popularity FROM recs.item_popularity")
        )
    }
    seen = set(
        connection.execute(
            text("SELECT item_id FROM recs.interactions WHERE user_id = :u"), {"u": user}
        ).scalars()
    )

    def place(row: Any) -> tuple[int, float, str]:
        for tier, group in enumerate((segment, "")):
            if (group, row.item_id) in popular:
                return tier, -popular[group, row.item_id], row.item_id
        return 2, -row.created_at.timestamp(), row.item_id

    rows = connection.execute(text("SELECT item_id, attributes, created_at FROM recs.items"))
    passing = [r for r in rows if r.attributes["colour"] == colour and r.item_id not in seen]
    return [row.item_id for row in sorted(passing, key=place)]


def test_weights_of_before_the_table_had_bounds_break_no_list(
    shop: Recommender, engine: Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("ALTER TABLE recs.interactions DROP CONSTRAINT interactions_weight_check")
        )
        connection.execute(
            text(
                "INSERT INTO recs.interactions (user_id, item_id, weight, occurred_at)"
                " SELECT 'absurd-' || n, item_id, w, now() - d * interval '1 day'"
                " FROM (SELECT item_id FROM recs.items ORDER BY 1 LIMIT 3) i,"
                " unnest(ARRAY[3e38, 1e-45]::real[]) w, unnest(ARRAY[0, 90000]) d,"
                " generate_series(1, 3) n"
            )
        )
    refresh(engine)
    for user in ("nobody", "absurd-1"):
        assert len(shop.recommend(user, 5)) == 5


def test_a_segment_and_an_item_whose_names_no_key_holds_do_not_stop_popularity(
    engine: Engine,
) -> None:
    shop = Recommender(engine)
    long = "".join(chr(0x4E00 + n * 7919 % 20000) for n in range(600))  # which nothing compresses
    shop.upsert_items([Item(long), Item("i")])
    shop.upsert_users([User("u", segment=long[:330])])
    shop.record_interactions([Interaction("u", long), Interaction("u", "i")])
    refresh(engine)
    assert {row.item_id for row in shop.popular_items(5)} == {long, "i"}
    assert {row.item_id for row in shop.popular_items(5, segment=long[:330])} == {"i"}


def test_popularity_made_anew_since_the_snapshot_is_a_serialization_failure(
    engine: Engine,
) -> None:
    shop = Recommender(engine)
    shop.upsert_items([Item("i")])
    shop.record_interactions([Interaction("u", "i")])
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.execute(text("SELECT count(*) FROM recs.items"))
        refresh(engine)
        with pytest.raises(DBAPIError) as caught:
            connection.execute(text("SELECT recs.refresh_popularity()"))
    assert isinstance(caught.value.orig, psycopg.errors.SerializationFailure)
