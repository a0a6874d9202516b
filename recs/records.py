"""Items, users and interactions as callers give them, and as rows that the database takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, SupportsInt

from recs.arguments import (
    LARGEST_WEIGHT,
    LEAST_WEIGHT,
    Id,
    id_text,
    mapping_text,
    segment_text,
    storable,
)
from recs.errors import BadInput


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
    """One item of the catalog, whole; `content_vector` only where the application makes its own.

    A `title` or `description` of None is an empty one.

    In `attributes`, as in a filter: what JSON has, any Mapping, and numbers of other types
    (Decimal); dates, times and UUIDs become text.
    """

    item_id: Id
    title: str | None = ""
    description: str | None = ""
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
        return storable("interaction_type", value)
    raise BadInput(f"interaction_type is {value!r}, expected text", hint="for example: 'purchase'")


def _weight(value: Any) -> float:
    try:
        weight = float(value)
    except (TypeError, ValueError, OverflowError):
        raise BadInput(f"weight is {value!r}, expected a number", hint="leave it out: 1") from None
    if not LEAST_WEIGHT <= weight <= LARGEST_WEIGHT:
        raise BadInput(
            f"weight is {value!r}, expected a number from {LEAST_WEIGHT:g} to {LARGEST_WEIGHT:g}",
            hint="what speaks against an item is not recorded; of a weak sign: .2, say",
        )
    return weight


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
        "attributes": mapping_text(f"attributes of user {user_id!r} are", user.attributes),
    }


def _item_row(item: Item) -> dict[str, Any]:
    item_id, vector = id_text(item.item_id), item.content_vector
    return {
        "item_id": item_id,
        "title": _storable(f"the title of item {item_id!r}", item.title),
        "description": _storable(f"the description of item {item_id!r}", item.description),
        "attributes": mapping_text(f"attributes of item {item_id!r} are", item.attributes),
        "available": _boolean(f"available of item {item_id!r}", item.available),
        "content_vector": None if vector is None else _vector(vector, item_id),
    }


def _storable(what: str, value: Any) -> Any:
    if value is None:
        return ""  # as tables have it that know no title
    return storable(what, value) if isinstance(value, str) else value


def _boolean(what: str, value: Any) -> bool:
    if isinstance(value, SupportsInt) and value in (True, False):  # numpy's, too
        return bool(value)
    raise BadInput(f"{what} is {value!r}, expected True or False", hint="leave it out: True")


def _vector(values: Any, item_id: str) -> list[float]:
    try:
        return [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        raise BadInput(
            f"the content vector of item {item_id!r} is {values!r}, expected numbers",
            hint="leave it out, and the item's text is encoded",
        ) from None
