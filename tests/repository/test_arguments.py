"""What `Recommender` takes for an id, a tenant, a k, a filter; and what it refuses by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, text

from recs import AsyncRecommender, Interaction, Item, Recommender, User
from recs.errors import BadInput
from tests.repository.conftest import AN_ID, found, rows


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


def test_a_segment_that_is_no_text_is_refused(shop: Recommender) -> None:
    with pytest.raises(BadInput, match="segment is None, expected text"):
        shop.popular_items(segment=None)  # type: ignore[arg-type]
