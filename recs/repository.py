"""The Python API: a repository over SQLAlchemy, in the caller's own transaction.

Give it an Engine and each call is a transaction of its own; give it a Connection or a Session and
it joins yours, neither committing nor rolling back, so that what you record is personalised
before you commit. It imports neither torch nor numpy.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from recs.database import refuse_autocommit
from recs.errors import BadInput

Id: TypeAlias = str | int | UUID
Bind: TypeAlias = Engine | Connection | Session
AsyncBind: TypeAlias = AsyncEngine | AsyncConnection | AsyncSession
Answer = TypeVar("Answer")
MOST_ROWS = 1000  # as recs.check_k() has it


@dataclass(frozen=True)
class Recommendation:
    """One row of an answer.

    `score` orders rows of one tier; `tier` says which part answered (model, fold_in,
    segment_popularity, popularity, catalog, similar); `reason` says why in words.
    """

    item_id: str
    score: float
    rank: int
    tier: str
    reason: str


@dataclass(frozen=True)
class PopularItem:
    """`popularity` is decayed by time; `support` counts the distinct users behind it."""

    item_id: str
    popularity: float
    support: int


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


_RECOMMEND = text(
    "SELECT * FROM recs.recommend(p_user_id => :user_id, p_k => :k,"
    " p_include_seen => :include_seen, p_filter => CAST(:filter AS jsonb)) ORDER BY rank"
)
_RECOMMEND_MANY = text(
    "SELECT * FROM recs.recommend_many(p_user_ids => CAST(:user_ids AS text[]), p_k => :k,"
    " p_include_seen => :include_seen, p_filter => CAST(:filter AS jsonb))"
    " ORDER BY user_id, rank"
)
_SIMILAR_ITEMS = text(
    "SELECT * FROM recs.similar_items(p_item_id => :item_id, p_k => :k,"
    " p_filter => CAST(:filter AS jsonb)) ORDER BY rank"
)
_POPULAR_ITEMS = text(
    "SELECT item_id, popularity, support FROM recs.popular_items"
    " WHERE segment = :segment ORDER BY popularity DESC, item_id LIMIT :k"
)
_RECORD_INTERACTIONS = text(
    "INSERT INTO recs.interactions (user_id, item_id, interaction_type, weight, occurred_at)"
    " SELECT * FROM unnest(CAST(:user_ids AS text[]), CAST(:item_ids AS text[]),"
    " CAST(:types AS text[]), CAST(:weights AS real[]), CAST(:times AS timestamptz[]))"
)
_UPSERT_ITEMS = text(
    "INSERT INTO recs.items"
    " (item_id, title, description, attributes, available, content_vector)"
    " SELECT item_id, title, description, attributes::jsonb, available, content_vector::vector"
    " FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS row (item_id text, title text,"
    " description text, attributes text, available boolean, content_vector text)"
    " ON CONFLICT (tenant_id, item_id) DO UPDATE SET title = excluded.title,"
    " description = excluded.description, attributes = excluded.attributes,"
    " available = excluded.available, content_vector = excluded.content_vector"
)
_SET_TENANT = text("SELECT set_config('recs.tenant_id', :tenant_id, true)")


class Recommender:
    """Ask for recommendations, and tell the database what happened.

    Args:
        bind: an Engine (a transaction a call), or the caller's Connection or Session.
        tenant_id: whose data; set for the rest of the transaction. None leaves the session's own
            setting, which is the tenant 'default' where nothing was set. A connection in
            AUTOCOMMIT has no transaction: BadInput.

    Every method raises
        recs.errors.BadInput: before it asks the database, of a value that cannot be meant: an id
            that is neither text nor a whole number nor a UUID, a k outside 1..1000, a filter that
            is no mapping, a weight that is no number, vectors of two dimensions in one call.
        sqlalchemy.exc.DBAPIError: with what the database said: an id that is not in the catalog,
            a weight that is not above 0.
    """

    def __init__(self, bind: Bind, *, tenant_id: str | None = None) -> None:
        self._bind = bind
        self._tenant_id = tenant_id

    def recommend(
        self,
        user_id: Id,
        k: int = 10,
        *,
        include_seen: bool = False,
        filter: Mapping[str, Any] | None = None,
    ) -> list[Recommendation]:
        """Return the k best items for a user, best first; strangers too get k rows.

        `filter` keeps items whose attributes contain it. Reads only.
        """
        rows = self._rows(
            _RECOMMEND,
            {
                "user_id": _id(user_id), "k": _k(k), "include_seen": include_seen,
                "filter": _filter(filter),
            },
        )  # fmt: skip
        return [_recommendation(row) for row in rows]

    def recommend_many(
        self,
        user_ids: Iterable[Id],
        k: int = 10,
        *,
        include_seen: bool = False,
        filter: Mapping[str, Any] | None = None,
    ) -> dict[str, list[Recommendation]]:
        """Return the k best items for each of many users, in one round trip. Reads only."""
        keys = list(dict.fromkeys(_id(user_id) for user_id in user_ids))
        rows = self._rows(
            _RECOMMEND_MANY,
            {
                "user_ids": keys, "k": _k(k), "include_seen": include_seen,
                "filter": _filter(filter),
            },
        )  # fmt: skip
        answer: dict[str, list[Recommendation]] = {key: [] for key in keys}
        for row in rows:
            answer[row.user_id].append(_recommendation(row))
        return answer

    def similar_items(
        self,
        item_id: Id,
        k: int = 10,
        *,
        filter: Mapping[str, Any] | None = None,
    ) -> list[Recommendation]:
        """Return the k items most similar to an item, best first. Reads only."""
        parameters = {"item_id": _id(item_id), "k": _k(k), "filter": _filter(filter)}
        return [_recommendation(row) for row in self._rows(_SIMILAR_ITEMS, parameters)]

    def popular_items(self, k: int = 10, *, segment: str = "") -> list[PopularItem]:
        """Return the k most popular items, of all users or of a segment. Reads only."""
        rows = self._rows(_POPULAR_ITEMS, {"segment": segment, "k": _k(k)})
        return [PopularItem(row.item_id, row.popularity, row.support) for row in rows]

    def record_interactions(self, interactions: Iterable[Interaction]) -> int:
        """Record what users did, in one statement; return how many.

        From the next statement of this transaction on, their recommendations follow it.
        """
        rows = list(interactions)
        if rows:
            self._write(_RECORD_INTERACTIONS, _columns(rows))
        return len(rows)

    def upsert_items(self, items: Iterable[Item]) -> int:
        """Insert or replace items of the catalog, in one statement; return how many.

        While a model is active, new items get their vectors in this transaction. One whose
        content_vector has another dimension than the model learned gets none: so an encoder can
        be changed call by call. The next training wants one dimension of all items.
        """
        rows = list(items)
        if rows:
            self._write(_UPSERT_ITEMS, {"rows": _json(_item_rows(rows))})
        return len(rows)

    def _rows(self, statement: Any, parameters: Mapping[str, Any]) -> Sequence[Row[Any]]:
        return self._run(lambda connection: connection.execute(statement, parameters).all())

    def _write(self, statement: Any, parameters: Mapping[str, Any]) -> None:
        self._run(lambda connection: connection.execute(statement, parameters))

    def _run(self, work: Callable[[Connection | Session], Answer]) -> Answer:
        if not isinstance(self._bind, Engine):
            return self._as_tenant(self._bind, work)
        with self._bind.begin() as connection:
            return self._as_tenant(connection, work)

    def _as_tenant(
        self, connection: Connection | Session, work: Callable[[Connection | Session], Answer]
    ) -> Answer:
        if self._tenant_id is not None:
            refuse_autocommit(
                connection if isinstance(connection, Connection) else connection.connection()
            )
            connection.execute(_SET_TENANT, {"tenant_id": self._tenant_id})
        return work(connection)


class AsyncRecommender:
    """`Recommender` for an AsyncEngine, or the caller's AsyncConnection or AsyncSession."""

    def __init__(self, bind: AsyncBind, *, tenant_id: str | None = None) -> None:
        self._bind = bind
        self._tenant_id = tenant_id

    async def recommend(
        self,
        user_id: Id,
        k: int = 10,
        *,
        include_seen: bool = False,
        filter: Mapping[str, Any] | None = None,
    ) -> list[Recommendation]:
        """See `Recommender.recommend`."""
        return await self._run(
            lambda sync: sync.recommend(user_id, k, include_seen=include_seen, filter=filter)
        )

    async def recommend_many(
        self,
        user_ids: Iterable[Id],
        k: int = 10,
        *,
        include_seen: bool = False,
        filter: Mapping[str, Any] | None = None,
    ) -> dict[str, list[Recommendation]]:
        """See `Recommender.recommend_many`."""
        return await self._run(
            lambda sync: sync.recommend_many(user_ids, k, include_seen=include_seen, filter=filter)
        )

    async def similar_items(
        self,
        item_id: Id,
        k: int = 10,
        *,
        filter: Mapping[str, Any] | None = None,
    ) -> list[Recommendation]:
        """See `Recommender.similar_items`."""
        return await self._run(lambda sync: sync.similar_items(item_id, k, filter=filter))

    async def popular_items(self, k: int = 10, *, segment: str = "") -> list[PopularItem]:
        """See `Recommender.popular_items`."""
        return await self._run(lambda sync: sync.popular_items(k, segment=segment))

    async def record_interactions(self, interactions: Iterable[Interaction]) -> int:
        """See `Recommender.record_interactions`."""
        return await self._run(lambda sync: sync.record_interactions(interactions))

    async def upsert_items(self, items: Iterable[Item]) -> int:
        """See `Recommender.upsert_items`."""
        return await self._run(lambda sync: sync.upsert_items(items))

    async def _run(self, call: Callable[[Recommender], Answer]) -> Answer:
        def in_sync(bind: Connection | Session) -> Answer:
            return call(Recommender(bind, tenant_id=self._tenant_id))

        if not isinstance(self._bind, AsyncEngine):
            return await self._bind.run_sync(in_sync)
        async with self._bind.begin() as connection:
            return await connection.run_sync(in_sync)


def _recommendation(row: Row[Any]) -> Recommendation:
    return Recommendation(row.item_id, row.score, row.rank, row.tier, row.reason)


def _id(value: object) -> str:
    if isinstance(value, str):
        return str.__str__(value)  # of an enumeration's member: its value
    # numpy's integers are Integral, and what data frames hold; a float may have lost digits
    if isinstance(value, Integral) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, UUID):
        return str(value)
    raise BadInput(
        f"an id is {value!r}, expected str, int or UUID",
        hint="convert it as the catalog's ids were: 42, not 42.0",
    )


def _k(value: object) -> int:
    if isinstance(value, Integral) and not isinstance(value, bool) and 1 <= int(value) <= MOST_ROWS:
        return int(value)
    raise BadInput(
        f"k is {value!r}, expected 1 to {MOST_ROWS}",
        hint="ask for what is shown; for more, page within one answer",
    )


def _filter(value: Mapping[str, Any] | None) -> str | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise BadInput(
            f"filter is {value!r}, expected a mapping", hint='for example: {"colour": "red"}'
        )
    return _json(value)


def _json(value: object) -> str:
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


def _columns(rows: Sequence[Interaction]) -> dict[str, list[Any]]:
    """Return a list a column, each of one type: psycopg dumps no others."""
    return {
        "user_ids": [_id(row.user_id) for row in rows],
        "item_ids": [_id(row.item_id) for row in rows],
        "types": [_type(row.interaction_type) for row in rows],
        "weights": [_weight(row.weight) for row in rows],
        "times": [_time(row.occurred_at) for row in rows],
    }


def _type(value: object) -> str:
    if isinstance(value, str):
        return str.__str__(value)
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


def _item_rows(items: Sequence[Item]) -> list[dict[str, Any]]:
    rows, dimension = [], None
    for item in items:
        id_, vector = _id(item.item_id), None
        if not isinstance(item.attributes, Mapping):
            raise BadInput(
                f"attributes of item {id_!r} are {item.attributes!r}, expected a mapping",
                hint='for example: {"colour": "red"}',
            )
        if item.content_vector is not None:
            vector = _vector(item.content_vector, id_)
            dimension = dimension or len(vector)
            if len(vector) != dimension:
                raise BadInput(
                    f"the content vector of item {id_!r} has {len(vector)} dimensions, expected"
                    f" {dimension} as of the items before it",
                    hint="take vectors of one encoder",
                )
        rows.append(
            {
                "item_id": id_,
                "title": item.title,
                "description": item.description,
                "attributes": _json(item.attributes),
                "available": item.available,
                "content_vector": None if vector is None else str(vector),
            }
        )
    return rows


def _vector(values: Any, item_id: str) -> list[float]:
    try:
        return [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        raise BadInput(
            f"the content vector of item {item_id!r} is {values!r}, expected numbers",
            hint="leave it out, and the item's text is encoded",
        ) from None
