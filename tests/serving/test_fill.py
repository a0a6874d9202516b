"""What fills a list, and what popularity is made of, against a slow exact reference."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, text

from recs import Interaction, Recommender
from tests import shops

N = 40
NOW = datetime(2024, 6, 1, tzinfo=UTC)
SEGMENTS = {"u": "s", "v": "", "w": None, "x": "s", "y": "t", "z": "s"}
FILTERS: tuple[dict[str, str] | None, ...] = (None, {"colour": "red"}, {"colour": "gold"}, {})


def rows(connection: Connection, query: str, **parameters: Any) -> list[Any]:
    return list(connection.execute(text(query), parameters).all())


@pytest.fixture
def events() -> list[Interaction]:
    """Return interactions of few weights and times, so that many are tied and many repeated."""
    random = np.random.default_rng(5)
    return [
        Interaction(
            str(random.choice(["u", "v", "w", "x", "z", "unlisted"])),
            f"item-{random.integers(N // 2)}",
            weight=float(random.choice([0.5, 1, 2])),
            occurred_at=NOW - timedelta(days=int(random.choice([0, 20, 250, 900]))),
        )
        for _ in range(120)
    ]


@pytest.fixture
def shop(engine: Engine, events: list[Interaction]) -> Recommender:
    """Return a shop of tied items, of which some are sold out, some gold, and half untouched."""
    shops.insert_items(engine, N)
    shop = Recommender(engine)
    shop.record_interactions(events)
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO recs.users (user_id, segment) VALUES (:user, :segment)"),
            [{"user": user, "segment": segment} for user, segment in SEGMENTS.items()],
        )
        connection.execute(
            text(
                "UPDATE recs.items SET available = hashtext(item_id) % 5 <> 0,"
                " created_at = now() - hashtext(item_id) % 3 * interval '1 day',"
                " attributes = CASE WHEN hashtext(item_id) % 4 = 1"
                """ THEN '{"colour": "gold"}' ELSE attributes END"""
            )
        )
        connection.execute(text("SELECT recs.refresh_popularity()"))
    return shop


def popularity(
    events: list[Interaction], until: datetime, half_life: float
) -> dict[tuple[str, str], tuple[float, int]]:
    """Return popularity and support by segment and item, a pair of user and item counted once."""
    known = [event for event in events if event.occurred_at <= until]
    newest = max(event.occurred_at for event in known)
    pairs: dict[tuple[str, str], list[Interaction]] = defaultdict(list)
    for event in known:
        pairs[str(event.user_id), str(event.item_id)].append(event)
    found: dict[tuple[str, str], tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    for (user, item), of_pair in pairs.items():
        age = (newest - max(event.occurred_at for event in of_pair)) / timedelta(days=1)
        faded = 1 if half_life >= 140 and 245 <= age <= 385 else 0.5 ** (age / half_life)
        weight = max(event.weight for event in of_pair) * faded
        for segment in {"", SEGMENTS.get(user) or ""}:
            sold, support = found[segment, item]
            found[segment, item] = sold + weight, support + 1
    return found


@pytest.mark.parametrize("half_life", [None, 30.0, 140.0])
@pytest.mark.parametrize("until", ["infinity", NOW, NOW - timedelta(days=20)])
def test_popularity_is_the_sum_over_users_of_their_largest_weight_at_their_last_time(
    shop: Recommender,
    engine: Engine,
    events: list[Interaction],
    half_life: float | None,
    until: Any,
) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE recs.tenants SET popularity_half_life = :days"), {"days": half_life}
        )
        count = rows(connection, "SELECT recs.refresh_popularity(:until)", until=until)[0][0]
        found = {
            (row.segment, row.item_id): (row.popularity, row.support)
            for row in rows(connection, "SELECT * FROM recs.item_popularity")
        }
    expected = popularity(events, NOW if until == "infinity" else until, half_life or 120)
    assert count == len(expected)
    assert {key: n for key, (_, n) in found.items()} == {key: n for key, (_, n) in expected.items()}
    for key, (sold, _) in expected.items():
        assert found[key][0] == pytest.approx(sold), key


def users(support: int) -> str:
    return "1 user" if support == 1 else f"{support} users"


def reference(
    connection: Connection, user: str, *, seen: bool, filter_: dict[str, str] | None
) -> list[tuple[str, float, int, str, str]]:
    """Return every row that may fill a list, in the order that is promised, sorted here."""
    segment = SEGMENTS.get(user)
    popular = {
        (row.segment, row.item_id): (row.popularity, row.support)
        for row in rows(connection, "SELECT * FROM recs.item_popularity")
    }
    had = {
        row.item_id
        for row in rows(
            connection, "SELECT item_id FROM recs.interactions WHERE user_id = :user", user=user
        )
    }
    found = []
    for item in rows(connection, "SELECT * FROM recs.items WHERE available"):
        if (item.item_id in had and not seen) or (filter_ or {}).items() - item.attributes.items():
            continue
        if segment and (segment, item.item_id) in popular:
            sold, support = popular[segment, item.item_id]
            told = (1, "segment_popularity", f"popular in {segment}: {users(support)}")
        elif ("", item.item_id) in popular:
            sold, support = popular["", item.item_id]
            told = (2, "popularity", f"popular: {users(support)}")
        else:
            sold, told = 0.0, (3, "catalog", "new in the catalog")
        newest = -item.created_at.timestamp() if told[0] == 3 else 0
        found.append((told[0], -sold, newest, item.item_id, *told[1:]))
    return [
        (item, -sold, rank, tier, reason)
        for rank, (_, sold, _, item, tier, reason) in enumerate(sorted(found), start=1)
    ]


@pytest.mark.parametrize("user", [*SEGMENTS, "nobody", "unlisted"])
def test_a_list_is_filled_in_the_promised_order_whatever_is_asked(
    shop: Recommender, engine: Engine, user: str
) -> None:
    with engine.connect() as connection:
        for seen in (False, True):
            for filter_ in FILTERS:
                expected = reference(connection, user, seen=seen, filter_=filter_)
                assert len(expected) >= 4
                for k in (1, 3, len(expected), 2 * N):
                    many = Recommender(connection).recommend_many(
                        [user], k, include_seen=seen, filter=filter_
                    )[user]
                    found = shop.recommend(user, k, include_seen=seen, filter=filter_)
                    assert many == found
                    told = [(r.item_id, r.rank, r.tier, r.reason) for r in found]
                    assert told == [(i, n, tier, why) for i, _, n, tier, why in expected[:k]]
                    scores = [score for _, score, *_ in expected[:k]]
                    assert [row.score for row in found] == pytest.approx(scores, rel=1e-5)


@pytest.mark.parametrize("filter_", FILTERS)
def test_what_is_there_already_counts_and_is_not_given_again(
    shop: Recommender, engine: Engine, filter_: dict[str, str] | None
) -> None:
    query = (
        "SELECT * FROM recs.fill_recommendations('u', 6, true, CAST(:filter AS jsonb),"
        " p_already => CAST(:already AS text[]))"
    )
    asked = None if filter_ is None else json.dumps(filter_)
    with engine.connect() as connection:
        best = [item for item, *_ in reference(connection, "u", seen=True, filter_=filter_)]
        for already in (None, [], [best[1], best[3]]):
            found = rows(connection, query, filter=asked, already=already)
            count = len(already or ())
            expected = [item for item in best if item not in (already or ())][: 6 - count]
            assert [row.item_id for row in found] == expected
            assert [row.rank for row in found] == list(range(1 + count, 1 + count + len(expected)))


def test_the_newest_of_what_few_pass_come_first_though_a_thousand_newer_do_not(
    engine: Engine,
) -> None:
    shops.insert_items(engine, 1100)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO recs.items (item_id, attributes, created_at)"
                """ SELECT 'gold-' || n, '{"colour": "gold"}',"""
                " now() - (10 - n) * interval '1 day'"
                " FROM generate_series(1, 5) n"
            )
        )
    rows = Recommender(engine).recommend("nobody", 3, filter={"colour": "gold"})
    assert [row.item_id for row in rows] == ["gold-5", "gold-4", "gold-3"]
