"""What SQL sums up of a user's interactions, and the reason it gives, against plain sums."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, text

from recs import Interaction, Recommender
from tests import shops

N, D = 20, 6
HALF_LIFE = 10.0
AGES = (40.0, 10.0, 3.0, 0.0, -0.5, -6.0)  # days before trained_until
Event = tuple[int, float, float]  # item, age in days, weight


@pytest.fixture
def vectors() -> np.ndarray:
    return shops.unit(np.random.default_rng(7).normal(size=(N, D)))


def summed(vectors: np.ndarray, events: list[Event]) -> tuple[np.ndarray, int]:
    """Sum up items by their largest weight and last time; and count them."""
    last: dict[int, float] = defaultdict(lambda: np.inf)
    most: dict[int, float] = defaultdict(float)
    for item, age, weight in events:
        last[item], most[item] = min(last[item], age), max(most[item], weight)
    faded = {item: most[item] * 0.5 ** (max(last[item], 0) / HALF_LIFE) for item in last}
    return sum((w * vectors[i] for i, w in faded.items()), np.zeros(D)), len(last)


def events_of(random: np.random.Generator) -> list[Event]:
    return [
        (int(random.integers(6)), float(random.choice(AGES)), float(random.choice([0.2, 1, 3])))
        for _ in range(random.integers(1, 12))
    ]


def record(engine: Engine, events: dict[str, list[Event]]) -> None:
    Recommender(engine).record_interactions(
        Interaction(
            user, f"item-{item}", weight=weight,
            occurred_at=shops.TRAINED_UNTIL - timedelta(days=age),
        )
        for user, rows in events.items()
        for item, age, weight in rows
    )  # fmt: skip


def store(engine: Engine, vectors: np.ndarray, events: dict[str, list[Event]]) -> None:
    """Store sums as training makes them, of what was done up to trained_until."""
    with engine.begin() as connection:
        for user, rows in events.items():
            total, support = summed(vectors, [row for row in rows if row[1] >= 0])
            connection.execute(
                text(
                    "INSERT INTO recs.user_embeddings"
                    " (model_id, user_id, history, support, fingerprint)"
                    " SELECT m.model_id, :user, CAST(:history AS vector), :support,"
                    " sum(hashtext(i.item_id)::bigint) FROM recs.models m, recs.interactions i"
                    " WHERE i.user_id = :user AND i.occurred_at <= m.trained_until"
                    " GROUP BY 1 HAVING count(*) > 0"
                ),
                {"user": user, "history": str(total.tolist()), "support": support},
            )


def asked(engine: Engine, user: str) -> Any:
    with engine.connect() as connection:
        return connection.execute(
            text("SELECT history::real[] AS history, embedding::real[] AS embedding, support,"
                 " recent, stored FROM recs.user_vector(:user)"), {"user": user},
        ).one()  # fmt: skip


def test_a_sum_is_that_of_all_interactions_whether_a_part_of_it_was_stored_or_not(
    engine: Engine, vectors: np.ndarray
) -> None:
    random = np.random.default_rng(0)
    events = {f"user-{u}": events_of(random) for u in range(60)}
    ids = shops.insert_items(engine, N)
    shops.publish(engine, shops.publication(ids, vectors, half_life=HALF_LIFE))
    record(engine, events)
    kept = {user: rows for n, (user, rows) in enumerate(events.items()) if n % 3}
    store(engine, vectors, kept)
    late = {user: [(7, 20.0, 1.0)] for n, user in enumerate(events) if n % 3 == 2}
    record(engine, late)  # dated before the version, so that what is stored no longer fits
    tiers = set()
    for user, first in events.items():
        rows = first + late.get(user, [])
        total, support = summed(vectors, rows)
        found = asked(engine, user)
        fits = user in kept and user not in late and any(age >= 0 for _, age, _ in rows)
        assert found.stored == fits, user
        assert found.support == support, user
        assert found.recent == sum(age < 0 for _, age, _ in rows), user
        assert found.history == pytest.approx(total, abs=5e-3), user
        assert found.embedding == pytest.approx(shops.unit(total), abs=5e-3), user
        (row,) = Recommender(engine).recommend(user, 1, include_seen=True)
        assert row.tier == ("model" if fits else "fold_in"), user
        assert row.score == pytest.approx((vectors @ shops.unit(total)).max(), abs=5e-3), user
        tiers.add(row.tier)
    assert tiers == {"model", "fold_in"}


def test_an_age_beyond_what_a_number_holds_counts_next_to_nothing(engine: Engine) -> None:
    with engine.connect() as connection:
        old, new, never, none = connection.execute(
            text(
                "SELECT recs.decay('0001-01-01', '2024-01-01', 1),"
                " recs.decay('2024-01-02', '2024-01-01', 1),"
                " recs.decay('2020-01-01', '2024-01-01', NULL), recs.decay(NULL, now(), 1)"
            )
        ).one()
    assert 0 < old < 1e-29
    assert (new, never, none) == (1, 1, None)


def test_a_user_who_knows_only_what_the_version_does_not_is_a_stranger_to_it(
    engine: Engine, vectors: np.ndarray
) -> None:
    ids = shops.insert_items(engine, N)
    known = shops.publication(ids[:-1], vectors[:-1])
    shops.publish(engine, known)
    shops.record(engine, [("u", ids[-1])])
    with engine.connect() as connection:
        for user in ("u", "nobody"):
            query = text("SELECT * FROM recs.user_vector(:user)")
            assert connection.execute(query, {"user": user}).all() == []
    assert {row.tier for row in Recommender(engine).recommend("u", 3)} == {"catalog"}


@pytest.mark.parametrize("named", [True, False])
def test_the_reason_is_the_one_of_the_last_three_known_items_that_pulls_hardest(
    engine: Engine, vectors: np.ndarray, named: bool
) -> None:
    ids = shops.insert_items(engine, N)
    if not named:
        with engine.begin() as connection:
            connection.execute(text("UPDATE recs.items SET title = ''"))
    shops.publish(engine, shops.publication(ids, vectors))
    order = [5, 3, 9, 1, 7]
    record(engine, {"u": [(item, age, 1.0) for age, item in enumerate(order)]})
    rows = Recommender(engine).recommend("u", N - len(order))
    pulling = []
    for row in rows:
        pulls = vectors[order[:3]] @ vectors[int(row.item_id.removeprefix("item-"))]
        pulling.append(order[int(np.argmax(pulls))])
    title = "title of item-" if named else "item-"
    assert [row.reason for row in rows] == [f"because of {title}{item}" for item in pulling]
    assert len(set(pulling)) == 3


def test_a_reason_is_looked_for_among_the_last_fifty_events(
    engine: Engine, vectors: np.ndarray
) -> None:
    ids = shops.insert_items(engine, N + 1)
    shops.publish(engine, shops.publication(ids[:-1], vectors))  # knows all but the last
    record(engine, {"u": [(1, 60.0, 1.0), *((N, float(age), 1.0) for age in range(49))]})
    assert Recommender(engine).recommend("u", 1)[0].reason == "because of title of item-1"
    record(engine, {"u": [(N, 49.0, 1.0)]})
    assert Recommender(engine).recommend("u", 1)[0].reason == "because of earlier interactions"
