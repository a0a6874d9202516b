"""The Python API: a repository over SQLAlchemy, in the caller's own transaction.

Give it an Engine and each call is a transaction of its own; give it a Connection or a Session and
it joins yours, neither committing nor rolling back, so that what you record is personalised
before you commit. It imports neither torch nor numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.orm import Session, scoped_session

from recs.arguments import (
    Id,
    filter_text,
    id_text,
    id_texts,
    json_text,
    row_count,
    segment_text,
    tenant_text,
)
from recs.database import refuse_autocommit, require_bind
from recs.records import Interaction, Item, User, interaction_columns, item_rows, user_rows

Bind: TypeAlias = Engine | Connection | Session | scoped_session[Session]
Answer = TypeVar("Answer")


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


_RECOMMEND = text(
    "SELECT * FROM recs.recommend(p_user_id => :user_id, p_k => :k,"
    " p_include_seen => :include_seen, p_filter => CAST(:filter AS jsonb),"
    " p_candidates => CAST(:candidates AS text[]), p_exclude => CAST(:exclude AS text[]))"
    " ORDER BY rank"
)
_RECOMMEND_MANY = text(
    "SELECT * FROM recs.recommend_many(p_user_ids => CAST(:user_ids AS text[]), p_k => :k,"
    " p_include_seen => :include_seen, p_filter => CAST(:filter AS jsonb),"
    " p_candidates => CAST(:candidates AS text[]), p_exclude => CAST(:exclude AS text[]))"
    " ORDER BY user_id, rank"
)
_RECOMMEND_FOR_ITEMS = text(
    "SELECT * FROM recs.recommend_for_items(p_item_ids => CAST(:item_ids AS text[]), p_k => :k,"
    " p_filter => CAST(:filter AS jsonb),"
    " p_candidates => CAST(:candidates AS text[]), p_exclude => CAST(:exclude AS text[]))"
    " ORDER BY rank"
)
_SIMILAR_ITEMS = text(
    "SELECT * FROM recs.similar_items(p_item_id => :item_id, p_k => :k,"
    " p_filter => CAST(:filter AS jsonb),"
    " p_candidates => CAST(:candidates AS text[]), p_exclude => CAST(:exclude AS text[]))"
    " ORDER BY rank"
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
# The type of a vector is the column's: by its name it may not be on the search path.
_UPSERT_ITEMS = text(
    "INSERT INTO recs.items"
    " (item_id, title, description, attributes, available, content_vector)"
    " SELECT row.item_id, row.title, row.description, row.attributes::jsonb, row.available,"
    " typed.content_vector"
    " FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS row (item_id text, title text,"
    " description text, attributes text, available boolean, content_vector text),"
    " jsonb_populate_record(NULL::recs.items,"
    " jsonb_build_object('content_vector', row.content_vector)) AS typed"
    " ON CONFLICT (tenant_id, item_id) DO UPDATE SET title = excluded.title,"
    " description = excluded.description, attributes = excluded.attributes,"
    " available = excluded.available, content_vector = excluded.content_vector"
)
_UPSERT_USERS = text(
    "INSERT INTO recs.users (user_id, segment, attributes)"
    " SELECT user_id, segment, attributes::jsonb"
    " FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS row (user_id text, segment text,"
    " attributes text)"
    " ON CONFLICT (tenant_id, user_id) DO UPDATE SET segment = excluded.segment,"
    " attributes = excluded.attributes"
)
_ERASE_USER = text("SELECT recs.erase_user(:user_id)")
_SET_TENANT = text("SELECT set_config('recs.tenant_id', :tenant_id, true)")


class Recommender:
    """Ask for recommendations, and tell the database what happened.

    Args:
        bind: an Engine (a transaction a call), or the caller's Connection or Session.
        tenant_id: whose data; set for the rest of the transaction. None leaves the session's own
            setting, which is the tenant 'default' where nothing was set; an empty one is refused,
            BadInput, rather than taken for that. A connection in AUTOCOMMIT has no transaction:
            BadInput.

    Every method raises
        recs.errors.BadInput: before it asks the database, of a value that cannot be meant: an id
            that is neither text nor a whole number nor a UUID, one text for many ids, a k outside
            1..1000, a filter that is no mapping, a weight that is no number, a segment that is no
            text, vectors of two dimensions or one item or user twice in one call.
        sqlalchemy.exc.DBAPIError: with what the database said: an id that is not in the catalog,
            a weight that is not above 0.
    """

    def __init__(self, bind: Bind, *, tenant_id: Id | None = None) -> None:
        self._tenant_id = None if tenant_id is None else tenant_text(tenant_id)
        require_bind(bind, Engine, Connection, Session, scoped_session)
        self._bind = bind

    def recommend(
        self,
        user_id: Id,
        k: int = 10,
        *,
        include_seen: bool = False,
        filter: Mapping[str, Any] | None = None,
        candidates: Iterable[Id] | None = None,
        exclude: Iterable[Id] | None = None,
    ) -> list[Recommendation]:
        """Return the k best items for a user, best first; strangers too get k rows.

        Reads only.

        Args:
            filter: only items whose attributes contain it.
            candidates: only these items; what is not in the catalog is passed over. None: all.
            exclude: none of these items.
        """
        rows = self._rows(
            _RECOMMEND,
            {
                "user_id": id_text(user_id), "k": row_count(k), "include_seen": include_seen,
                **_eligible(filter, candidates, exclude),
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
        candidates: Iterable[Id] | None = None,
        exclude: Iterable[Id] | None = None,
    ) -> dict[str, list[Recommendation]]:
        """Return the k best items for each of many users, in one round trip. Reads only.

        `filter`, `candidates` and `exclude` are those of `recommend`, for all of them.
        """
        keys = id_texts("user_ids", user_ids)
        rows = self._rows(
            _RECOMMEND_MANY,
            {
                "user_ids": keys, "k": row_count(k), "include_seen": include_seen,
                **_eligible(filter, candidates, exclude),
            },
        )  # fmt: skip
        answer: dict[str, list[Recommendation]] = {key: [] for key in keys}
        for row in rows:
            answer[row.user_id].append(_recommendation(row))
        return answer

    def recommend_for_items(
        self,
        item_ids: Iterable[Id],
        k: int = 10,
        *,
        filter: Mapping[str, Any] | None = None,
        candidates: Iterable[Id] | None = None,
        exclude: Iterable[Id] | None = None,
    ) -> list[Recommendation]:
        """Return the k best items beside those of a basket, best first. Reads only.

        They are what `recommend` would answer a new user who had chosen these items now. What is
        not in the catalog is passed over; without any item the answer is a stranger's. `filter`,
        `candidates` and `exclude` are those of `recommend`.
        """
        parameters = {
            "item_ids": id_texts("item_ids", item_ids), "k": row_count(k),
            **_eligible(filter, candidates, exclude),
        }  # fmt: skip
        return [_recommendation(row) for row in self._rows(_RECOMMEND_FOR_ITEMS, parameters)]

    def similar_items(
        self,
        item_id: Id,
        k: int = 10,
        *,
        filter: Mapping[str, Any] | None = None,
        candidates: Iterable[Id] | None = None,
        exclude: Iterable[Id] | None = None,
    ) -> list[Recommendation]:
        """Return the k items most similar to an item, best first. Reads only.

        `filter`, `candidates` and `exclude` are those of `recommend`.
        """
        parameters = {
            "item_id": id_text(item_id), "k": row_count(k),
            **_eligible(filter, candidates, exclude),
        }  # fmt: skip
        return [_recommendation(row) for row in self._rows(_SIMILAR_ITEMS, parameters)]

    def popular_items(self, k: int = 10, *, segment: str = "") -> list[PopularItem]:
        """Return the k most popular items, of all users or of a segment. Reads only."""
        rows = self._rows(_POPULAR_ITEMS, {"segment": segment_text(segment), "k": row_count(k)})
        return [PopularItem(row.item_id, row.popularity, row.support) for row in rows]

    def record_interactions(self, interactions: Iterable[Interaction]) -> int:
        """Record what users did, in one statement; return how many.

        From the next statement of this transaction on, their recommendations follow it.
        """
        rows = list(interactions)
        if rows:
            self._write(_RECORD_INTERACTIONS, interaction_columns(rows))
        return len(rows)

    def upsert_items(self, items: Iterable[Item]) -> int:
        """Insert or replace items of the catalog, in one statement; return how many.

        Whole ones: what an Item leaves out is emptied, and one that was sold out is sold again.

        While a model is active, new items get their vectors in this transaction. One whose
        content_vector has another dimension than the model learned gets none: so an encoder can
        be changed call by call. The next training wants one dimension of all items.
        """
        rows = list(items)
        if rows:
            self._write(_UPSERT_ITEMS, {"rows": json_text(item_rows(rows))})
        return len(rows)

    def upsert_users(self, users: Iterable[User]) -> int:
        """Insert or replace what is known of users, whole, in one statement; return how many.

        A stranger of a segment is shown what is popular there from the next statement of this
        transaction on; the user counts in its popularity from the next refresh on.
        """
        rows = list(users)
        if rows:
            self._write(_UPSERT_USERS, {"rows": json_text(user_rows(rows))})
        return len(rows)

    def erase_user(self, user_id: Id) -> int:
        """Erase a user, in every model version; return how many interactions went.

        The user counts in popularity until the next refresh, and in what was learned of items until
        the next training.
        """
        return int(self._rows(_ERASE_USER, {"user_id": id_text(user_id)})[0][0])

    def _rows(self, statement: Any, parameters: Mapping[str, Any]) -> Sequence[Row[Any]]:
        return self._run(lambda connection: connection.execute(statement, parameters).all())

    def _write(self, statement: Any, parameters: Mapping[str, Any]) -> None:
        self._run(lambda connection: connection.execute(statement, parameters))

    def _run(self, work: Callable[[Connection | Session], Answer]) -> Answer:
        bind = self._bind() if isinstance(self._bind, scoped_session) else self._bind
        if not isinstance(bind, Engine):
            return self._as_tenant(bind, work)
        with bind.begin() as connection:
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


def _eligible(
    filter: Mapping[str, Any] | None,
    candidates: Iterable[Id] | None,
    exclude: Iterable[Id] | None,
) -> dict[str, Any]:
    return {
        "filter": filter_text(filter),
        "candidates": None if candidates is None else id_texts("candidates", candidates),
        "exclude": None if exclude is None else id_texts("exclude", exclude),
    }


def _recommendation(row: Row[Any]) -> Recommendation:
    return Recommendation(row.item_id, row.score, row.rank, row.tier, row.reason)
