"""What `Recommender` takes for an id, a number, a time, a filter; and what it refuses by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, text

from recs import AsyncRecommender, Interaction, Item, Recommender, User
from recs.errors import BadInput

AN_ID = UUID("00000000-0000-0000-0000-00000000002a")


class Event(StrEnum):
    PURCHASE = "purchase"


class OldEvent(str, Enum):  # noqa: UP042 - whose str() is not its value
    VIEW = "view"


@pytest.fixture
def shop(connection: Connection) -> Recommender:
    """Return a recommender on a catalog of two items, rolled back after the test."""
    shop = Recommender(connection)
    shop.upsert_items([Item("a", attributes={"c": 1}), Item("b")])
    return shop


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(text(query))]


def found(shop: Recommender, filter_: Any) -> set[str]:
    return {row.item_id for row in shop.recommend("u", filter=filter_)}


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
        (Interaction("u", "a", weight=0), "weight is 0, expected a number above 0"),
        (Interaction("u", "a", weight=-1), "weight is -1, expected a number above 0"),
        (Interaction("u", "a", weight=float("nan")), "weight is nan, expected a number above 0"),
        (Interaction("u", "a", weight=float("inf")), "weight is inf, expected a number above 0"),
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


def test_ids_are_text_whole_numbers_and_uuids(shop: Recommender, connection: Connection) -> None:
    shop.record_interactions(Interaction(id_, "a") for id_ in ("s", 42, np.int64(43), AN_ID))
    users = [row[0] for row in rows(connection, "SELECT user_id FROM recs.interactions")]
    assert users == ["s", "42", "43", str(AN_ID)]


@pytest.mark.parametrize("id_", [None, 42.0, True, b"42", Decimal(42)])
@pytest.mark.parametrize(
    "call",
    [
        lambda shop, id_: shop.recommend(id_),
        lambda shop, id_: shop.recommend_many(["u", id_]),
        lambda shop, id_: shop.similar_items(id_),
        lambda shop, id_: shop.recommend_for_items(["a", id_]),
        lambda shop, id_: shop.upsert_items([Item(id_)]),
    ],
)
def test_an_id_of_another_type_is_refused(
    shop: Recommender, call: Callable[[Recommender, Any], Any], id_: Any
) -> None:
    with pytest.raises(BadInput, match=r"an id is .*, expected str, int or UUID"):
        call(shop, id_)


@pytest.mark.parametrize("text_", ["a\0b", "a\ud800b", "a" + chr(0xDFFF)])
@pytest.mark.parametrize(
    "call",
    [
        lambda shop, text_: shop.recommend(text_),
        lambda shop, text_: shop.record_interactions([Interaction("u", "a", text_)]),
        lambda shop, text_: shop.popular_items(segment=text_),
        lambda shop, text_: shop.recommend("u", exclude=[text_]),
    ],
)
def test_text_that_postgresql_cannot_hold_is_refused_by_its_value(
    shop: Recommender, call: Callable[[Recommender, Any], Any], text_: str
) -> None:
    with pytest.raises(BadInput, match=re.escape(f"is {text_!r}, expected text that PostgreSQL")):
        call(shop, text_)


@pytest.mark.parametrize("user_ids", ["u", b"u"])
def test_one_text_is_not_taken_for_many_ids(shop: Recommender, user_ids: Any) -> None:
    with pytest.raises(BadInput, match=rf"user_ids is {user_ids!r}, expected ids"):
        shop.recommend_many(user_ids)
    with pytest.raises(BadInput, match=rf"item_ids is {user_ids!r}, expected ids"):
        shop.recommend_for_items(user_ids)


@pytest.mark.parametrize("tenant_id", [AN_ID, 7])
def test_a_tenant_may_be_a_whole_number_or_a_uuid(connection: Connection, tenant_id: Any) -> None:
    Recommender(connection, tenant_id=tenant_id).upsert_items([Item("a")])
    assert rows(connection, "SELECT tenant_id FROM recs.items") == [(str(tenant_id),)]


@pytest.mark.parametrize("recommender", [Recommender, AsyncRecommender])
def test_an_empty_tenant_is_not_taken_for_the_default_one(recommender: Any) -> None:
    with pytest.raises(BadInput, match="a tenant is '', expected a name"):
        recommender(None, tenant_id="")


def test_the_tenant_of_a_recommender_ends_with_the_transaction(engine: Engine) -> None:
    current = text("SELECT recs.current_tenant()")
    with engine.connect() as connection:
        for _ in range(2):
            assert Recommender(connection, tenant_id="another").recommend("u") == []
            assert connection.scalar(current) == "another"
            connection.commit()
            # What the next client of a transaction pooler finds on this server connection.
            assert connection.scalar(current) == "default"


def test_every_user_asked_for_has_a_list_in_the_order_asked(shop: Recommender) -> None:
    assert list(shop.recommend_many(["z", 5, "a", "z"])) == ["z", "5", "a"]
    assert shop.recommend_many(["z", "a"], filter={"c": "nothing"}) == {"z": [], "a": []}
    assert shop.recommend_many([]) == {}


def test_of_no_candidates_nothing_is_answered(shop: Recommender) -> None:
    assert shop.recommend("u", candidates=[]) == []
    assert shop.recommend_many(["u"], candidates=()) == {"u": []}
    assert shop.similar_items("a", candidates=iter(())) == []
    assert shop.recommend_for_items(["a"], candidates=[]) == []


@pytest.mark.parametrize("k", [0, -1, 1001, 99_999_999_999, None, 2.5, True, "10"])
@pytest.mark.parametrize(
    "call",
    [
        lambda shop, k: shop.recommend("u", k),
        lambda shop, k: shop.recommend_many(["u"], k),
        lambda shop, k: shop.recommend_many([], k),
        lambda shop, k: shop.similar_items("a", k),
        lambda shop, k: shop.recommend_for_items(["a"], k),
        lambda shop, k: shop.popular_items(k),
    ],
)
def test_a_k_that_is_not_1_to_1000_is_refused_by_every_method(
    shop: Recommender, call: Callable[[Recommender, Any], Any], k: Any
) -> None:
    with pytest.raises(BadInput, match=f"k is {k!r}, expected 1 to 1000"):
        call(shop, k)


def test_a_k_of_1_and_of_1000_is_taken(shop: Recommender) -> None:
    for k, rows_ in ((1, 1), (1000, 2)):
        assert len(shop.recommend("u", k)) == rows_
        assert len(shop.recommend_many(["u"], k)["u"]) == rows_


def test_a_k_from_an_array_is_a_number(shop: Recommender) -> None:
    assert len(shop.recommend("u", np.int64(1))) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("filter_", ['{"c":1}', [1], [], 0, ""])
def test_a_filter_that_is_no_mapping_is_refused(shop: Recommender, filter_: Any) -> None:
    for call in (shop.recommend, shop.similar_items):
        with pytest.raises(BadInput, match="expected a mapping") as caught:
            call("a", filter=filter_)
        assert repr(filter_) in caught.value.message
    for of_many in (shop.recommend_many, shop.recommend_for_items):
        with pytest.raises(BadInput, match="expected a mapping"):
            of_many(["a"], filter=filter_)


def test_a_list_is_filtered_by_a_list_of_what_it_has(shop: Recommender) -> None:
    shop.upsert_items([Item("c", attributes={"tags": ["gift", "wool"]})])
    assert found(shop, {"tags": ["gift"]}) == {"c"}
    assert found(shop, {"tags": ["wool", "gift"]}) == {"c"}
    assert found(shop, {"tags": "gift"}) == set()


def test_any_mapping_is_a_filter(shop: Recommender) -> None:
    assert found(shop, MappingProxyType({"c": 1})) == {"a"}
    assert found(shop, {}) == {"a", "b"}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("19.90"), "19.9"),
        (Decimal("12345678901234567890"), "12345678901234567890"),
        (Decimal("1E+30"), "1" + 30 * "0"),
        (np.int64(7), "7"),
        (datetime(2024, 6, 1, 12, tzinfo=UTC), '"2024-06-01 12:00:00+00:00"'),
        (date(2024, 6, 1), '"2024-06-01"'),
        (AN_ID, f'"{AN_ID}"'),
        (MappingProxyType({"deep": (Decimal("0.5"), None)}), '{"deep": [0.5, null]}'),
    ],
)
def test_attributes_hold_what_json_can_say_and_filters_find_it(
    shop: Recommender, connection: Connection, value: Any, written: str
) -> None:
    shop.upsert_items([Item("new", attributes=MappingProxyType({"value": value}))])
    assert rows(
        connection, "SELECT (attributes -> 'value')::text FROM recs.items WHERE item_id = 'new'"
    ) == [(written,)]
    assert found(shop, {"value": value}) == {"new"}


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({1, 2}, "{1, 2}"),
        (b"raw", "b'raw'"),
        (float("nan"), "nan"),
        (Decimal("NaN"), "NaN"),
        (Decimal("sNaN"), "sNaN"),
        (Decimal("-Infinity"), "-Infinity"),
        (Fraction(10**400, 3), "1000"),
        ({(1, 2): 3}, r"\(1, 2\)"),
    ],
)
def test_what_json_cannot_say_is_refused_by_its_value(
    shop: Recommender, value: Any, named: str
) -> None:
    with pytest.raises(BadInput, match=rf"{named}.* is not JSON"):
        shop.recommend("u", filter={"value": value})
    with pytest.raises(BadInput, match=rf"{named}.* is not JSON"):
        shop.upsert_items([Item("good"), Item("bad", attributes={"value": value})])


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


def test_popular_items_come_by_popularity_and_those_alike_by_id(
    shop: Recommender, connection: Connection
) -> None:
    shop.upsert_items(Item(item) for item in "edc")
    shop.upsert_users([User("u", "France"), User("v", "Spain")])
    now = datetime.now(UTC)
    events = [("u", "d", 1), ("u", "c", 1), ("u", "b", 5), ("v", "b", 5), ("v", "e", 3)]
    shop.record_interactions(Interaction(u, i, weight=w, occurred_at=now) for u, i, w in events)
    connection.execute(text("SELECT recs.refresh_popularity()"))
    found = shop.popular_items(10)
    assert [(row.item_id, row.support) for row in found] == [
        ("b", 2), ("e", 1), ("c", 1), ("d", 1),
    ]  # fmt: skip
    assert found[0].popularity > found[1].popularity > found[2].popularity == found[3].popularity
    assert shop.popular_items(3) == found[:3]
    assert [row.item_id for row in shop.popular_items(10, segment="France")] == ["b", "c", "d"]
    assert shop.popular_items(10, segment="Peru") == []


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


def test_a_segment_that_is_no_text_is_refused(shop: Recommender) -> None:
    with pytest.raises(BadInput, match="segment is None, expected text"):
        shop.popular_items(segment=None)  # type: ignore[arg-type]


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
