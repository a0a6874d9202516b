"""Items, users and interactions as `Recommender` takes them, and what it refuses by name."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, text

from recs import Interaction, Item, Recommender, User
from recs.errors import BadInput
from tests.repository.conftest import AN_ID, found, rows


class Event(StrEnum):
    PURCHASE = "purchase"


class OldEvent(str, Enum):  # noqa: UP042 - whose str() is not its value
    VIEW = "view"


@pytest.mark.parametrize(
    "weights", [(1, 2.5), (Decimal("1"), 2.5), (np.float32(1), 2.5), (True, 2.5), (1, np.int64(2))]
)
def test_weights_of_several_types_are_recorded_in_one_call(
    shop: Recommender, connection: Connection, weights: tuple[Any, Any]
) -> None:
    shop.record_interactions(Interaction("u", "a", weight=weight) for weight in weights)
    recorded = [row[0] for row in rows(connection, "SELECT weight FROM recs.interactions")]
    assert recorded == [float(weight) for weight in weights]


def test_types_of_interactions_may_be_of_an_enumeration_beside_text(
    shop: Recommender, connection: Connection
) -> None:
    types = (Event.PURCHASE, OldEvent.VIEW, "other")
    shop.record_interactions(Interaction("u", "a", type_) for type_ in types)
    assert rows(connection, "SELECT interaction_type FROM recs.interactions ORDER BY 1") == [
        ("other",), ("purchase",), ("view",),
    ]  # fmt: skip


def test_a_time_without_a_zone_is_utc_whatever_the_sessions_zone_is(
    shop: Recommender, connection: Connection
) -> None:
    connection.execute(text("SET LOCAL TimeZone = 'Asia/Tokyo'"))
    noon = datetime(2024, 6, 1, 12)
    paris = timezone(timedelta(hours=2))
    shop.record_interactions(
        Interaction("u", "a", occurred_at=at)
        for at in (noon, noon.replace(tzinfo=UTC), datetime(2024, 6, 1, 14, tzinfo=paris))
    )
    assert rows(connection, "SELECT DISTINCT occurred_at FROM recs.interactions") == [
        (noon.replace(tzinfo=UTC),)
    ]


@pytest.mark.parametrize(
    ("interaction", "message"),
    [
        (Interaction("u", "a", weight="much"), "weight is 'much', expected a number"),  # type: ignore[arg-type]
        (Interaction("u", "a", weight=None), "weight is None, expected a number"),  # type: ignore[arg-type]
        (Interaction("u", "a", weight=10**400), "weight is 10+, expected a number"),
        (Interaction("u", "a", weight=0), "weight is 0, expected a number from 1e-12 to 1e"),
        (Interaction("u", "a", weight=-1), "weight is -1, expected a number from 1e-12 to 1e"),
        (
            Interaction("u", "a", weight=float("nan")),
            "weight is nan, expected a number from 1e-12 to 1e",
        ),
        (
            Interaction("u", "a", weight=float("inf")),
            "weight is inf, expected a number from 1e-12 to 1e",
        ),
        (Interaction("u", "a", None), "interaction_type is None, expected text"),  # type: ignore[arg-type]
        (Interaction("u", "a", occurred_at=date(2024, 6, 1)), "expected a datetime"),  # type: ignore[arg-type]
        (Interaction(None, "a"), "an id is None, expected str, int or UUID"),  # type: ignore[arg-type]
        (Interaction("u", 42.0), "an id is 42.0, expected str, int or UUID"),  # type: ignore[arg-type]
    ],
)
def test_an_interaction_that_makes_no_sense_is_refused_by_its_value(
    shop: Recommender, interaction: Interaction, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        shop.record_interactions([interaction])


def test_an_item_given_again_is_replaced_in_all_its_columns(
    shop: Recommender, connection: Connection
) -> None:
    query = (
        "SELECT title, description, attributes, available, content_vector::text"
        " FROM recs.items WHERE item_id = 'x'"
    )
    full = Item("x", "a title", "a text", {"c": 1}, available=False, content_vector=(1, 2))
    for item, expected in (
        (full, ("a title", "a text", {"c": 1}, False, "[1,2]")),
        (Item("x"), ("", "", {}, True, None)),
        (Item("x", None, None), ("", "", {}, True, None)),
        (full, ("a title", "a text", {"c": 1}, False, "[1,2]")),
    ):
        assert shop.upsert_items([item]) == 1
        assert rows(connection, query) == [expected]


@pytest.mark.parametrize("available", [None, "no", 2])
def test_what_is_neither_true_nor_false_does_not_say_whether_an_item_is_available(
    shop: Recommender, available: Any
) -> None:
    message = f"available of item 'x' is {available!r}, expected True or False"
    with pytest.raises(BadInput, match=message):
        shop.upsert_items([Item("x", available=available)])
    assert shop.upsert_items([Item("x", available=np.bool_(False))]) == 1  # type: ignore[arg-type]


def test_users_are_inserted_and_replaced(shop: Recommender, connection: Connection) -> None:
    assert shop.upsert_users([]) == 0
    assert shop.upsert_users([User(42, "France", {"since": date(2024, 6, 1)}), User(AN_ID)]) == 2
    assert shop.upsert_users([User(42, segment=Event.PURCHASE), User("s")]) == 2
    query = "SELECT user_id, segment, attributes FROM recs.users ORDER BY 1"
    assert rows(connection, query) == [
        (str(AN_ID), None, {}), ("42", "purchase", {}), ("s", None, {}),
    ]  # fmt: skip


def test_a_stranger_who_is_given_a_segment_is_shown_what_is_popular_there(
    shop: Recommender, connection: Connection
) -> None:
    shop.upsert_users([User("one", "France")])
    done = [("one", "b"), ("x", "a"), ("y", "a")]
    shop.record_interactions(Interaction(user, item) for user, item in done)
    connection.execute(text("SELECT recs.refresh_popularity()"))
    assert shop.recommend("stranger")[0].item_id == "a"
    shop.upsert_users([User("stranger", "France")])
    first = shop.recommend("stranger")[0]
    assert (first.item_id, first.tier) == ("b", "segment_popularity")
    assert [row.item_id for row in shop.popular_items(segment="France")] == ["b"]


@pytest.mark.parametrize(
    ("user", "message"),
    [
        (User(None), "an id is None, expected str, int or UUID"),  # type: ignore[arg-type]
        (User("u", segment=0), "segment is 0, expected text"),  # type: ignore[arg-type]
        (User("u", segment=5), "segment is 5, expected text"),  # type: ignore[arg-type]
        (User("u", attributes=[1]), r"attributes of user 'u' are \[1\], expected a mapping"),  # type: ignore[arg-type]
        (User("u", attributes={"x": float("nan")}), "nan.* is not JSON"),
    ],
)
def test_a_user_that_makes_no_sense_is_refused_by_its_value(
    shop: Recommender, user: User, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        shop.upsert_users([user])


def test_attributes_that_are_no_mapping_are_refused_with_their_item(shop: Recommender) -> None:
    with pytest.raises(BadInput, match=r"attributes of item 'x' are \[1\], expected a mapping"):
        shop.upsert_items([Item("x", attributes=[1])])  # type: ignore[arg-type]


def test_who_is_given_twice_is_refused_by_the_id(shop: Recommender) -> None:
    with pytest.raises(BadInput, match="item '42' is given a second time"):
        shop.upsert_items([Item("c"), Item(42), Item("42", title="the later one")])
    with pytest.raises(BadInput, match="user 'u' is given a second time"):
        shop.upsert_users([User("u"), User("u", segment="s")])


def test_content_vectors_of_one_call_have_one_dimension(shop: Recommender) -> None:
    with pytest.raises(BadInput, match="item 'z' has 3 dimensions, expected 2"):
        shop.upsert_items(
            [Item("x"), Item("y", content_vector=(1, 2)), Item("z", content_vector=(1, 2, 3))]
        )


@pytest.mark.parametrize("vector", [["x"], 5, "[1, 2]", [None]])
def test_a_content_vector_that_is_no_numbers_is_refused(shop: Recommender, vector: Any) -> None:
    with pytest.raises(BadInput, match=r"content vector of item 'x' is .*, expected numbers"):
        shop.upsert_items([Item("x", content_vector=vector)])


def test_a_content_vector_may_come_from_an_array(shop: Recommender, connection: Connection) -> None:
    shop.upsert_items([Item("x", content_vector=np.array([0.5, 1], np.float32))])  # type: ignore[arg-type]
    assert rows(connection, "SELECT content_vector::text FROM recs.items WHERE item_id = 'x'") == [
        ("[0.5,1]",)
    ]


@pytest.mark.parametrize("bad", ["x\0", "\ud800"])
def test_text_that_postgresql_cannot_hold_is_refused_by_the_items_name(
    shop: Recommender, bad: str
) -> None:
    with pytest.raises(BadInput, match="the title of item 'x' is"):
        shop.upsert_items([Item("x", title=bad)])
    with pytest.raises(BadInput, match="the description of item 'x' is"):
        shop.upsert_items([Item("x", description=bad)])
    for attributes in ({"a": [{"b": bad}]}, {bad: 1}):
        with pytest.raises(BadInput, match="attributes of item 'x' are"):
            shop.upsert_items([Item("x", attributes=attributes)])
        with pytest.raises(BadInput, match="filter is"):
            shop.recommend("u", filter=attributes)


def test_emoji_and_text_that_looks_escaped_are_kept(shop: Recommender) -> None:
    attributes = {"\U0001f600": ["\\u0000", "\\ud800"]}
    shop.upsert_items([Item("x", "\U0001f600", "\\u0000", attributes)])
    assert found(shop, attributes) == {"x"}
