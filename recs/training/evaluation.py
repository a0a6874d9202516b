"""How good is what the database returns: quality on held-out interactions, recall of the index.

Both are measured on the rows that recs.recommend returns. For quality, what the sampled users did
after the model's trained_until is deleted, asked about, and rolled back: nobody else sees it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text

from recs import metrics
from recs.errors import BadInput, NothingToLearn
from recs.health import AnnRecall, ann_recall
from recs.training import versions

_SAMPLE = text("""
SELECT user_id
FROM recs.interactions
WHERE tenant_id = recs.current_tenant()
GROUP BY user_id
HAVING max(occurred_at) > :cut AND min(occurred_at) <= :cut
ORDER BY hashtextextended(user_id, :seed)
LIMIT :users""")

_RELEVANT = text("""
SELECT l.user_id, l.item_id
FROM (SELECT DISTINCT user_id, item_id FROM recs.interactions
      WHERE tenant_id = recs.current_tenant() AND user_id = ANY(:users) AND occurred_at > :cut) l
JOIN recs.items i ON i.tenant_id = recs.current_tenant() AND i.item_id = l.item_id AND i.available
WHERE NOT EXISTS (
  SELECT FROM recs.interactions e
  WHERE e.tenant_id = recs.current_tenant() AND e.user_id = l.user_id AND e.item_id = l.item_id
    AND e.occurred_at <= :cut)""")

_FORGET = text("""
DELETE FROM recs.interactions
WHERE tenant_id = recs.current_tenant() AND user_id = ANY(:users) AND occurred_at > :cut""")

_BY_MODEL = text("SELECT user_id, item_id, tier FROM recs.recommend_many(:users, :k) ORDER BY rank")

_BY_POPULARITY = text("""
SELECT u.user_id, p.item_id
FROM unnest(CAST(:users AS text[])) u (user_id)
CROSS JOIN LATERAL (
  SELECT p.item_id, p.popularity FROM recs.popular_items p
  WHERE p.segment = '' AND NOT EXISTS (
    SELECT FROM recs.interactions s WHERE s.tenant_id = p.tenant_id
      AND s.user_id = u.user_id AND s.item_id = p.item_id)
  ORDER BY p.popularity DESC, p.item_id LIMIT :k) p
ORDER BY p.popularity DESC, p.item_id""")


@dataclass(frozen=True)
class Quality:
    """Means over users; see recs.metrics for the formulas."""

    recall: float
    ndcg: float
    hit_rate: float
    catalog_coverage: float


@dataclass(frozen=True)
class Evaluation:
    """What `recs evaluate` prints: the served lists against popularity, both @k.

    ann_recall is of ten items, over 100 of the version's users at most; None where it has none.
    """

    model_id: int
    k: int
    users: int
    since: datetime
    model: Quality
    popularity: Quality
    tiers: Mapping[str, int]
    ann_recall: AnnRecall | None

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def evaluate(engine: Engine, *, k: int = 20, users: int = 2000, seed: int = 0) -> Evaluation:
    """Evaluate the active model on what users did after it was trained; write nothing.

    Relevant are items new to the user. A sample of `users` users who have interactions both
    before and after.

    Raises:
        NothingToLearn: no user has interactions on both sides.
        BadInput: no model is active.
    """
    with engine.connect() as connection:
        active = versions.active_version(connection)
        if active is None or active.trained_until is None:
            raise BadInput("no model is active", hint="run: recs train")
        cut = active.trained_until
        sample = _column(connection, _SAMPLE, cut=cut, seed=seed, users=users)
        relevant = connection.execute(_RELEVANT, {"users": sample, "cut": cut}).all()
        judged = sorted({row.user_id for row in relevant})
        if not judged:
            raise NothingToLearn(
                f"nobody has interactions both before and after {cut:%Y-%m-%d %H:%M}, "
                "when the model was trained",
                hint="train on the past: recs train --until TIME; then: recs evaluate",
            )
        try:
            versions.stop_trial(connection)  # else it would answer some of them
            connection.execute(_FORGET, {"users": judged, "cut": cut})
            connection.execute(text("SELECT recs.refresh_popularity(:cut)"), {"cut": cut})
            return _judge(connection, active.model_id, judged, relevant, cut, k)
        finally:
            connection.rollback()


def _judge(
    connection: Connection,
    model_id: int,
    users: Sequence[str],
    relevant: Sequence[Any],
    cut: datetime,
    k: int,
) -> Evaluation:
    catalog = _column(
        connection,
        text(
            "SELECT item_id FROM recs.items WHERE tenant_id = recs.current_tenant() AND available"
        ),
    )
    number = {item: n for n, item in enumerate(catalog)}
    wanted: dict[str, list[int]] = {user: [] for user in users}
    for row in relevant:
        wanted[row.user_id].append(number[row.item_id])
    truth = [np.array(wanted[user]) for user in users]

    by_model = connection.execute(_BY_MODEL, {"users": users, "k": k}).all()
    by_popularity = connection.execute(_BY_POPULARITY, {"users": users, "k": k}).all()
    tiers: dict[str, int] = {}
    for row in by_model:
        tiers[row.tier] = tiers.get(row.tier, 0) + 1
    return Evaluation(
        model_id=model_id,
        k=k,
        users=len(users),
        since=cut,
        model=_quality(_lists(by_model, users, number, k), truth, len(catalog), k),
        popularity=_quality(_lists(by_popularity, users, number, k), truth, len(catalog), k),
        tiers=tiers,
        ann_recall=ann_recall(connection),
    )


def _quality(
    lists: NDArray[np.int64], truth: Sequence[NDArray[np.int64]], catalog: int, k: int
) -> Quality:
    return Quality(
        recall=metrics.recall_at_k(lists, truth, k=k),
        ndcg=metrics.ndcg_at_k(lists, truth, k=k),
        hit_rate=metrics.hit_rate_at_k(lists, truth, k=k),
        catalog_coverage=metrics.catalog_coverage(lists, n_items=catalog, k=k),
    )


def _lists(
    rows: Sequence[Any], users: Sequence[str], number: Mapping[str, int], k: int
) -> NDArray[np.int64]:
    """Return [U, k] item numbers, padded; rows come best first."""
    position = {user: n for n, user in enumerate(users)}
    lists = np.full((len(users), k), metrics.PADDING, np.int64)
    filled = np.zeros(len(users), int)
    for row in rows:
        u = position[row.user_id]
        lists[u, filled[u]] = number[row.item_id]
        filled[u] += 1
    return lists


def _column(connection: Connection, statement: Any, **parameters: Any) -> list[str]:
    return list(connection.execute(statement, parameters).scalars())
