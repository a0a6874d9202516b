"""What callers give, checked, and in the form in which the database takes it."""

from __future__ import annotations

import json
import re
import reprlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, TypeAlias
from uuid import UUID

from recs.errors import BadInput

Id: TypeAlias = str | int | UUID
MOST_ROWS = 1000  # as recs.check_k() has it
# what scikit-learn takes for a seed, and tuning draws with the next one too
LARGEST_SEED = 2**32 - 2
# What str holds and PostgreSQL's text does not: NUL, and halves of surrogate pairs.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True)
class Interaction:
    """One thing a user did with an item of the catalog; a time without a zone is UTC."""

    user_id: Id
    item_id: Id
    interaction_type: str = "interaction"
    weight: float = 1.0
    occurred_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Item:
    """One item of the catalog; `content_vector` only where the application makes its own.

    In `attributes`, as in a filter: what JSON has, any Mapping, and numbers of other types
    (Decimal); dates, times and UUIDs become text.
    """

    item_id: Id
    title: str = ""
    description: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    available: bool = True
    content_vector: Sequence[float] | None = None


@dataclass(frozen=True)
class User:
    """What is known of a user; a user needs none of it.

    A stranger of a `segment` is shown what is popular there. `attributes` are as an Item's.
    """

    user_id: Id
    segment: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


def id_text(value: object) -> str:
    """Return an id as text.

    Raises:
        BadInput: it is neither text nor a whole number nor a UUID, or has what PostgreSQL's text
            cannot hold.
    """
    if isinstance(value, str):
        return _storable("an id", value)
    # numpy's integers are Integral, and what data frames hold; a float may have lost digits
    if isinstance(value, Integral) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, UUID):
        return str(value)
    raise BadInput(
        f"an id is {value!r}, expected str, int or UUID",
        hint="convert it as the catalog's ids were: 42, not 42.0",
    )


def id_texts(name: str, values: object) -> list[str]:
    """Return the ids of a collection as text, each once, in their order.

    Raises:
        BadInput: it is no collection, or one text, whose letters would each be an id; or one of
            them is no id.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise BadInput(
            f"{name} is {reprlib.repr(values)}, expected ids",
            hint='for example: ["sku-1", "sku-2"]',
        )
    return list(dict.fromkeys(id_text(value) for value in values))


def tenant_text(value: object) -> str:
    """Return the id of a tenant as text.

    Raises:
        BadInput: it is no id, or empty: the database takes that for no tenant named.
    """
    if tenant_id := id_text(value):
        return tenant_id
    raise BadInput(
        "a tenant is '', expected a name",
        hint="name it, or leave it out for the session's own, which is 'default' unless set",
    )


def _storable(what: str, value: str) -> str:
    plain = str.__str__(value)  # of an enumeration's member: its value
    if _UNSTORABLE.search(plain):
        raise BadInput(
            f"{what} is {value!r}, expected text that PostgreSQL can hold",
            hint="leave NUL and lone surrogates out",
        )
    return plain


def row_count(value: object) -> int:
    """Return k.

    Raises:
        BadInput: it is not 1 to 1000.
    """
    if isinstance(value, Integral) and not isinstance(value, bool) and 1 <= int(value) <= MOST_ROWS:
        return int(value)
    raise BadInput(
        f"k is {value!r}, expected 1 to {MOST_ROWS}",
        hint="ask for what is shown; for more, page within one answer",
    )


def seed_number(value: object) -> int:
    """Return a seed.

    Raises:
        BadInput: it is no whole number from 0 to LARGEST_SEED.
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        seed = int(value)
        if 0 <= seed <= LARGEST_SEED:
            return seed
    raise BadInput(
        f"seed is {value!r}, expected a whole number from 0 to {LARGEST_SEED}",
        hint="leave it out: 0; any other draws differently",
    )


def filter_text(value: Mapping[str, Any] | None) -> str | None:
    """Return a filter as JSON.

    Raises:
        BadInput: it is no mapping, or holds what is not JSON.
    """
    return None if value is None else _mapping_text("filter is", value)


def _mapping_text(what: str, value: object) -> str:
    if not isinstance(value, Mapping):
        raise BadInput(
            f"{what} {value!r}, expected a mapping", hint='for example: {"colour": "red"}'
        )
    return json_text(value)


def json_text(value: object) -> str:
    """Return a value as JSON, by the rules of Item.

    Raises:
        BadInput: some of it is not JSON.
    """
    try:
        return json.dumps(value, default=_json_value, allow_nan=False)
    except (TypeError, ValueError, OverflowError) as error:  # NaN, a key that is no text, a circle
        raise BadInput(
            f"{reprlib.repr(value)} is not JSON: {error}",
            hint="expected keys that are text, and finite numbers",
        ) from error


def _json_value(value: object) -> object:
    """Return a value that json knows for one that it does not."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value)
    if isinstance(value, Real | Decimal):
        return float(value)
    if isinstance(value, date | UUID):
        return str(value)  # as `recs load` writes them
    raise BadInput(
        f"{value!r} is not JSON",
        hint="expected text, numbers, booleans, None, dates, UUIDs, and lists and mappings of them",
    )


def interaction_columns(rows: Sequence[Interaction]) -> dict[str, list[Any]]:
    """Return a list a column, each of one type: psycopg dumps no others.

    Raises:
        BadInput: an id, a type, a weight or a time that is none.
    """
    return {
        "user_ids": [id_text(row.user_id) for row in rows],
        "item_ids": [id_text(row.item_id) for row in rows],
        "types": [_type(row.interaction_type) for row in rows],
        "weights": [_weight(row.weight) for row in rows],
        "times": [_time(row.occurred_at) for row in rows],
    }


def _type(value: object) -> str:
    if isinstance(value, str):
        return _storable("interaction_type", value)
    raise BadInput(f"interaction_type is {value!r}, expected text", hint="for example: 'purchase'")


def _weight(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise BadInput(f"weight is {value!r}, expected a number", hint="leave it out: 1") from None


def _time(value: object) -> str:
    if not isinstance(value, datetime):
        raise BadInput(f"occurred_at is {value!r}, expected a datetime", hint="leave it out: now")
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()


def item_rows(items: Sequence[Item]) -> list[dict[str, Any]]:
    """Return items as values that JSON has.

    Raises:
        BadInput: an id, attributes or a vector that is none; vectors of two dimensions; an item
            that is given twice.
    """
    rows, dimension = [_item_row(item) for item in items], None
    _refuse_twice("item", [row["item_id"] for row in rows])
    for row in rows:
        vector = row["content_vector"]
        if vector is not None:
            dimension = dimension or len(vector)
            if len(vector) != dimension:
                raise BadInput(
                    f"the content vector of item {row['item_id']!r} has {len(vector)} dimensions,"
                    f" expected {dimension} as of the items before it",
                    hint="take vectors of one encoder",
                )
            row["content_vector"] = str(vector)
    return rows


def _refuse_twice(what: str, ids: Sequence[str]) -> None:
    """Refuse an id that is given twice: of two, one statement cannot say which is to stay."""
    for value, count in Counter(ids).items():
        if count > 1:
            raise BadInput(
                f"{what} {value!r} is given a second time", hint="give the one that is to stay"
            )


def user_rows(users: Sequence[User]) -> list[dict[str, Any]]:
    """Return users as values that JSON has.

    Raises:
        BadInput: an id, a segment or attributes that are none; a user who is given twice.
    """
    rows = [_user_row(user) for user in users]
    _refuse_twice("user", [row["user_id"] for row in rows])
    return rows


def _user_row(user: User) -> dict[str, Any]:
    user_id = id_text(user.user_id)
    return {
        "user_id": user_id,
        "segment": None if user.segment is None else segment_text(user.segment),
        "attributes": _mapping_text(f"attributes of user {user_id!r} are", user.attributes),
    }


def segment_text(value: object) -> str:
    """Return the name of a segment.

    Raises:
        BadInput: it is no text, or has what PostgreSQL's cannot hold.
    """
    if isinstance(value, str):
        return _storable("segment", value)
    raise BadInput(f"segment is {value!r}, expected text", hint="for example: 'France'")


def _item_row(item: Item) -> dict[str, Any]:
    item_id, vector = id_text(item.item_id), item.content_vector
    return {
        "item_id": item_id,
        "title": item.title,
        "description": item.description,
        "attributes": _mapping_text(f"attributes of item {item_id!r} are", item.attributes),
        "available": item.available,
        "content_vector": None if vector is None else _vector(vector, item_id),
    }


def _vector(values: Any, item_id: str) -> list[float]:
    try:
        return [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        raise BadInput(
            f"the content vector of item {item_id!r} is {values!r}, expected numbers",
            hint="leave it out, and the item's text is encoded",
        ) from None
