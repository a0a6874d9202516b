"""What the owner does for one tenant neither sees nor changes another: no policy holds it.

A shop alone in its database and one beside a neighbour whose ids are the same: whatever is asked
of either, or done to it, the answers are the same, and the neighbour's rows stay as they were.
"""

from __future__ import annotations

from dataclasses import astuple, replace
from datetime import timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from recs import Item, Recommendation, Recommender, database, migration
from recs.errors import BadInput
from recs.repository import PopularItem
from recs.training import reading, versions
from tests import shops

N = 24
USERS = ("u", "v", "late", "stranger")
TABLES = (
    "tenants", "users", "items", "interactions", "item_popularity", "models", "item_embeddings",
    "user_embeddings", "content_terms",
)  # fmt: skip


class Shop:
    """A tenant's shop, kept and asked by the owner of the schema."""

    def __init__(self, dsn: str, tenant: str) -> None:
        self.tenant = tenant
        self.engine = database.make_engine(dsn, tenant_id=tenant)
        self.recommender = Recommender(self.engine)

    def run(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with self.engine.begin() as connection:
            found = connection.execute(text(statement), parameters)
            return [tuple(row) for row in found] if found.returns_rows else []

    def fill(self, *, seed: int, segment: str, half_life: float) -> None:
        """Insert items, users and interactions of chance, and publish two versions."""
        random = np.random.default_rng(seed)
        self.run(
            "INSERT INTO recs.tenants VALUES (:tenant, :config, :half_life)",
            tenant=self.tenant,
            config="english" if seed else "simple",
            half_life=half_life,
        )
        ids = shops.insert_items(self.engine, N, tenant=self.tenant)
        self.run("UPDATE recs.items SET available = false, created_at = now() - interval '1 day'"
                 " WHERE tenant_id = :t AND item_id = :i",
                 t=self.tenant, i=f"item-{seed}")  # fmt: skip
        self.run("INSERT INTO recs.users (user_id, segment)"
                 " VALUES ('u', :s), ('v', 'rest'), ('stranger', :s)", s=segment)  # fmt: skip
        for days in (1, 40, 300):
            pairs = {(f"w{random.integers(9)}", ids[random.integers(N // 2)]) for _ in range(12)}
            mine = [("u", ids[random.integers(N)]), ("v", ids[random.integers(N)])]
            shops.record(self.engine, sorted(pairs) + mine,
                         before=timedelta(days=days), tenant=self.tenant)  # fmt: skip
        self.run("SELECT recs.refresh_popularity()")
        for _ in range(2):
            self.publish(ids, random)
        self.recommender.upsert_items(
            Item(f"new-{n}", f"new {n}", content_vector=random.uniform(size=4).tolist())
            for n in range(3)
        )
        shops.record(self.engine, [("late", ids[seed + 3]), ("u", ids[seed + 4])],
                     before=-timedelta(days=1), tenant=self.tenant)  # fmt: skip

    def publish(self, ids: list[str], random: np.random.Generator) -> None:
        what = shops.publication(
            ids, random.normal(size=(N, 8)), histories={"u": [0], "v": [1]}, half_life=30.0
        )
        content = shops.unit(random.uniform(size=(N, 4)))
        shops.publish(
            self.engine, replace(what, items=replace(what.items, content_embedding=content))
        )

    def answers(self) -> dict[str, Any]:
        """Return what is to be seen of the shop; versions by their place in the row."""
        ask, found = self.recommender, dict[str, Any]()
        for user in USERS:
            for filter_ in (None, {"colour": "red"}, {"colour": "gold"}):
                found[f"{user} {filter_}"] = ask.recommend(user, 2 * N, filter=filter_)
            found[f"{user} seen"] = ask.recommend(user, 2 * N, include_seen=True)
            found[f"{user} newcomer"] = self.run(
                "SELECT item_id, popularity, similarity, content_similarity, support, weight, score"
                " FROM recs.cold_start_users WHERE user_id = :user ORDER BY item_id", user=user,
            )  # fmt: skip
            found[f"{user} vector"] = self.run(
                "SELECT embedding::real[], support, recent, stored FROM recs.user_vector(:user)",
                user=user,
            )
        for item in ("item-5", "new-1"):
            found[f"like {item}"] = ask.similar_items(item, N)
            found[f"beside {item}"] = ask.recommend_for_items([item, "item-6"], N)
        for segment in ("", "north", "south"):
            found[f"popular {segment}"] = ask.popular_items(2 * N, segment=segment)
        found["new"] = self.run(
            "SELECT item_id, title, popularity, content_similarity, neighbor_popularity, support,"
            " score FROM recs.cold_start_items ORDER BY item_id"
        )
        found["held"] = self.run(
            "SELECT 'user', user_id FROM recs.user_embeddings WHERE tenant_id = :t UNION ALL"
            " SELECT source, item_id FROM recs.item_embeddings WHERE tenant_id = :t ORDER BY 1, 2",
            t=self.tenant,
        )
        found["config"] = self.run("SELECT recs.text_search_config(:t)::text", t=self.tenant)
        with self.engine.connect() as connection:
            found["states"] = [one.state for one in versions.list_versions(connection)]
        data = reading.read(self.engine)
        found["read"] = (data.user_ids, data.item_ids, data.n_interactions, data.trained_until,
                         data.fingerprint.tolist(), data.content.vectors.tolist())  # fmt: skip
        return found

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all that is stored of the tenant."""
        return {
            table: self.run(
                f"SELECT to_jsonb(r)::text FROM recs.{table} r WHERE tenant_id = :t ORDER BY 1",
                t=self.tenant,
            )
            for table in TABLES
        }


def assert_alike(found: Any, expected: Any, what: str) -> None:
    """Check that two answers are the same, to what a sum in another order may differ by."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), what
        for key in expected:
            assert_alike(found[key], expected[key], f"{what}: {key}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), f"{what}: {found}, expected {expected}"
        for one, other in zip(found, expected, strict=True):
            assert_alike(one, other, what)
    elif isinstance(expected, Recommendation | PopularItem):
        assert_alike(astuple(found), astuple(expected), what)
    else:
        close = pytest.approx(expected, abs=1e-4) if isinstance(expected, float) else expected
        assert found == close, what


MINE = " WHERE tenant_id = 'mine'"
WORK = {
    "refresh": "SELECT recs.refresh_popularity()",
    "roll back": "SELECT recs.roll_back_model()",
    "change content": f"UPDATE recs.items SET content_vector = '[1,0,0,0]'{MINE}"
                      " AND item_id = 'new-1'",
    "activate": f"SELECT recs.activate_model(max(model_id)) FROM recs.models{MINE}",
    "rename": f"UPDATE recs.items SET item_id = 'x' || item_id{MINE}"
              " AND item_id IN ('item-0', 'item-1', 'item-2', 'new-2')",
    "delete items": f"DELETE FROM recs.items{MINE} AND item_id BETWEEN 'item-20' AND 'item-22'",
    "give a history away": f"UPDATE recs.interactions SET user_id = 'v'{MINE} AND user_id = 'u'",
    "delete a history": f"DELETE FROM recs.interactions{MINE} AND user_id = 'v'",
    "fade as the model says": f"UPDATE recs.tenants SET popularity_half_life = NULL{MINE}",
    "refresh by it": "SELECT recs.refresh_popularity()",
    "take out of service": f"UPDATE recs.models SET state = 'retired'{MINE}",
    "refresh without a model": "SELECT recs.refresh_popularity()",
}  # fmt: skip


def test_a_shop_beside_another_of_the_same_ids_is_what_it_is_alone(
    dsn: str, empty_dsn: str
) -> None:
    migration.migrate(database.make_engine(empty_dsn))
    # It comes first, in the table and in each index: what looks at all tenants finds it.
    neighbour, beside, alone = Shop(dsn, "first"), Shop(dsn, "mine"), Shop(empty_dsn, "mine")
    neighbour.fill(seed=0, segment="south", half_life=2.0)
    before = neighbour.rows()
    for shop in (alone, beside):
        shop.fill(seed=1, segment="north", half_life=60.0)
    assert_alike(beside.answers(), alone.answers(), "nothing")
    # To publish by hand makes the sums of all versions fit.
    before = {**before, "user_embeddings": neighbour.rows()["user_embeddings"]}
    assert neighbour.rows() == before
    for work, statement in WORK.items():
        for shop in (alone, beside):
            shop.run(statement)
        assert_alike(beside.answers(), alone.answers(), work)
        assert neighbour.rows() == before, work


def test_another_tenants_version_is_none(dsn: str) -> None:
    ids = shops.insert_items(database.make_engine(dsn), 5, tenant="other")
    theirs = shops.publish(
        database.make_engine(dsn, tenant_id="other"), shops.publication(ids, np.eye(5))
    )
    mine = Shop(dsn, "mine")
    with pytest.raises(DBAPIError, match=f"tenant mine has no model {theirs}") as caught:
        mine.run(f"SELECT recs.activate_model({theirs})")
    assert isinstance(caught.value.orig, psycopg.errors.NoDataFound)
    with pytest.raises(DBAPIError, match="tenant mine has no model to roll back to"):
        mine.run("SELECT recs.roll_back_model()")
    assert mine.run(f"SELECT * FROM recs.user_vector('u', {theirs})") == []
    with mine.engine.begin() as connection, pytest.raises(BadInput, match="mine has no model"):
        versions.drop_version(connection, theirs)
    assert shops.states(database.make_engine(dsn, tenant_id="other")) == {theirs: "active"}
