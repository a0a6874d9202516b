"""How few items pass a filter, and what is then looked up instead of searched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, text

from recs import database
from tests import shops
from tests.conftest import Databases

N = 400
SOLD = 150  # of the items, the first in the order of popularity
BEST_SELLERS = 100
ENOUGH = 4  # best sellers that pass, so that most likely many do
IT, RED, NONE = '{"group": "it"}', '{"colour": "red"}', '{"group": "none"}'


@pytest.fixture(scope="module")
def engine(databases: Databases, template: str) -> Iterator[Engine]:
    """Return a shop whose item n has popularity N - n, and another tenant's."""
    name = databases.create(template)
    engine = database.make_engine(databases.dsn_of(name))
    shops.insert_items(engine, N)
    with engine.begin() as connection:
        run(connection, "INSERT INTO recs.tenants (tenant_id) VALUES ('other')")
        run(
            connection,
            "INSERT INTO recs.items (tenant_id, item_id, attributes)"
            """ SELECT 'other', 'other-' || n, '{"colour": "blue", "group": "none"}'"""
            " FROM generate_series(1, 50) n",
        )
        run(
            connection,
            "INSERT INTO recs.item_popularity (tenant_id, segment, item_id, popularity, support)"
            " SELECT 'default', '', 'item-' || n, :n - n, 1 FROM generate_series(0, :last) n"
            " UNION ALL SELECT 'other', '', 'other-' || n, n, 1 FROM generate_series(1, 50) n",
            n=N,
            last=SOLD - 1,
        )
    yield engine
    engine.dispose()
    databases.drop(name)


def run(connection: Connection, statement: str, **parameters: Any) -> Any:
    return connection.execute(text(statement), parameters)


def put_into_group(connection: Connection, items: list[str]) -> None:
    run(
        connection,
        "UPDATE recs.items SET attributes = :it WHERE item_id = ANY (:items)",
        it=IT,
        items=items,
    )


def few(connection: Connection, filter_: str, most: int) -> set[str] | None:
    found = run(
        connection,
        "SELECT recs.few_matching_items(CAST(:filter AS jsonb), :most)",
        filter=filter_,
        most=most,
    ).scalar_one()
    if found is None:
        return None
    assert len(set(found)) == len(found)
    return set(found)


@pytest.mark.parametrize("popular", [0, ENOUGH - 1, ENOUGH, 30])
@pytest.mark.parametrize("others", [0, 1, 40])
def test_the_few_that_pass_are_all_there_or_they_are_not_few(
    engine: Engine, popular: int, others: int
) -> None:
    random = np.random.default_rng(popular * 100 + others)
    members = [
        *random.permutation(BEST_SELLERS)[:popular].tolist(),
        *(BEST_SELLERS + random.permutation(N - BEST_SELLERS)[:others]).tolist(),
    ]
    sold_out = members[-others // 3 :] if others > 2 else []
    on_sale = {f"item-{j}" for j in set(members) - set(sold_out)}
    with engine.connect() as connection:
        put_into_group(connection, [f"item-{j}" for j in members])
        run(
            connection,
            "UPDATE recs.items SET available = false WHERE item_id = ANY (:items)",
            items=[f"item-{j}" for j in sold_out],
        )
        for most in (0, 1, len(on_sale) - 1, len(on_sale), N):
            found = few(connection, IT, most)
            if popular >= ENOUGH or most < max(1, len(on_sale)):
                assert found is None
            else:
                assert found == on_sale
        connection.rollback()


def test_without_popularity_what_passes_is_counted(engine: Engine) -> None:
    with engine.connect() as connection:
        run(connection, "DELETE FROM recs.item_popularity")
        assert len(few(connection, RED, N) or ()) == len(range(0, N, 3))
        assert few(connection, RED, N // 4) is None
        connection.rollback()


def test_what_other_tenants_have_is_not_among_the_few(engine: Engine) -> None:
    with engine.connect() as connection:
        assert few(connection, NONE, N) == set()
        run(connection, "SELECT set_config('recs.tenant_id', 'other', true)")
        assert few(connection, NONE, N) is None
        assert few(connection, RED, N) == set()
        connection.rollback()


def test_a_filter_that_everything_passes_is_never_strict(engine: Engine) -> None:
    with engine.connect() as connection:
        run(connection, "DELETE FROM recs.item_popularity")
        assert few(connection, "{}", N) is None
        connection.rollback()


@pytest.mark.parametrize("k", [1, 2, 3, 20])
def test_what_a_walk_through_popularity_does_not_reach_follows_in_the_promised_order(
    engine: Engine, k: int
) -> None:
    # More pass than are looked up at once, but of the thousand that are walked only two.
    with engine.connect() as connection:
        run(
            connection,
            "INSERT INTO recs.items (item_id, created_at)"
            " SELECT 'more-' || n, now() + n * interval '1 second' FROM generate_series(1, 2000) n",
        )
        run(
            connection,
            "UPDATE recs.items SET created_at = created_at"
            " - (10 + hashtext(item_id) % 7) * interval '1 day' WHERE item_id LIKE 'item-%'",
        )
        created = dict(run(connection, "SELECT item_id, created_at FROM recs.items").all())
        more = sorted((i for i in created if i.startswith("more-")), key=created.__getitem__)
        untouched = [f"item-{j}" for j in range(SOLD, N)] + more[:100]
        put_into_group(connection, ["item-7", "item-90", *untouched])
        newest = sorted(untouched, key=lambda item: (-created[item].timestamp(), item))
        rows = run(
            connection,
            "SELECT item_id, rank FROM recs.recommend('nobody', :k, p_filter => :it)",
            k=k,
            it=IT,
        ).all()
        assert [row.item_id for row in rows] == ["item-7", "item-90", *newest][:k]
        assert [row.rank for row in rows] == list(range(1, k + 1))
        connection.rollback()
