"""How good is what the database returns: quality on held-out interactions, recall of the index.

Both are measured on the rows that recs.recommend returns. For quality, what the sampled users did
after the model's trained_until, or a later time, is deleted, asked about, and rolled back: nobody
else sees it. So is what lets a version answer that does not serve.

Whoever records events or writes items does not wait for it, and who activates a version for a batch
of users at most. Who makes popularity anew, deletes or renames items waits for the end; so does who
activates or tries the very version that is judged, where it had to be given items that came later.
"""

from __future__ import annotations

from collections import Counter
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

BATCH = 100  # users asked for at a time; between batches whoever waits to activate has a turn
ALL = 1 - 2**-24  # the largest share of users that a trial can have: one in 17 million is not of it

_SAMPLE = text("""
SELECT user_id
FROM recs.interactions
WHERE tenant_id = recs.current_tenant() AND recs.is_in_trial(user_id, :model, CAST(:all AS real))
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

# A trial, since it locks no other version's row: who writes items waits for that of the active one.
# Where none is active, nobody does.
_LET_ANSWER = text("""
UPDATE recs.models m
SET trial_share = CASE WHEN a.there THEN CAST(:all AS real) END,
    state = CASE WHEN a.there THEN m.state ELSE 'active' END
FROM (SELECT EXISTS (SELECT FROM recs.models
                     WHERE tenant_id = recs.current_tenant() AND state = 'active')) a (there)
WHERE m.tenant_id = recs.current_tenant() AND m.model_id = :model AND m.state <> 'active'""")

_CATALOG = text("""
SELECT item_id FROM recs.items WHERE tenant_id = recs.current_tenant() AND available""")

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


def evaluate(
    engine: Engine,
    *,
    k: int = 20,
    users: int = 2000,
    seed: int = 0,
    model_id: int | None = None,
    since: datetime | None = None,
) -> Evaluation:
    """Evaluate a version, by default the active one, on what users did after it was trained.

    Writes nothing. Relevant are items new to the user. A sample of `users` users who have
    interactions both before and after. Popularity is as of then, by the half-life that serves.

    Args:
        since: judge it on what was done after this, so that versions trained until different times
            compare; what a user did before is folded in. Default: when it was trained.

    Raises:
        NothingToLearn: no user has interactions on both sides.
        BadInput: no model is active; the named one is not there, or was not published, or has
            learned of what came after `since`.
    """
    with engine.connect() as connection:
        version = _version(connection, model_id)
        cut = _cut(version, since)
        model = {"model": version.model_id, "all": ALL}
        sample = _column(connection, _SAMPLE, cut=cut, seed=seed, users=users, **model)
        relevant = connection.execute(_RELEVANT, {"users": sample, "cut": cut}).all()
        if not relevant:
            raise NothingToLearn(
                f"nobody has interactions both before and after {cut:%Y-%m-%d %H:%M}"
                + (f", when model {version.model_id} was trained" if since is None else ""),
                hint="train on the past: recs train --until TIME --no-activate;"
                " then: recs evaluate --model ID",
            )
        try:
            return _judge(connection, version, cut, relevant, k)
        finally:
            connection.rollback()


def _version(connection: Connection, model_id: int | None) -> versions.ModelVersion:
    if model_id is not None:
        return versions.get_published(connection, model_id)
    active = versions.active_version(connection)
    if active is None:
        raise BadInput("no model is active", hint="run: recs train; or name one: --model ID")
    return active


def _cut(version: versions.ModelVersion, since: datetime | None) -> datetime:
    trained_until = version.trained_until
    assert trained_until is not None  # noqa: S101 - publishing has written it
    if since is None:
        return trained_until
    if since < trained_until:
        raise BadInput(
            f"since is {since}, but model {version.model_id} has learned of what was done until"
            f" {trained_until}",
            hint="take a later time",
        )
    return since


def _judge(
    connection: Connection,
    version: versions.ModelVersion,
    cut: datetime,
    relevant: Sequence[Any],
    k: int,
) -> Evaluation:
    model_id = version.model_id
    if version.state != "active":  # activating it would do that, too
        connection.execute(text("SELECT recs.place_items(:model)"), {"model": model_id})
    recall = ann_recall(connection, model_id=model_id)
    connection.execute(text("SELECT recs.refresh_popularity(:cut)"), {"cut": cut})
    users = sorted({row.user_id for row in relevant})
    by_model, by_popularity = _lists_of(connection, model_id, users, cut, k)

    catalog = _column(connection, _CATALOG)
    # Others write items meanwhile: what the catalog does not have now has a number, too.
    every = [*catalog, *(row.item_id for row in (*relevant, *by_model, *by_popularity))]
    number = {item: n for n, item in enumerate(dict.fromkeys(every))}
    wanted: dict[str, list[int]] = {user: [] for user in users}
    for row in relevant:
        wanted[row.user_id].append(number[row.item_id])
    truth = [np.array(wanted[user]) for user in users]
    return Evaluation(
        model_id=model_id,
        k=k,
        users=len(users),
        since=cut,
        model=_quality(_lists(by_model, users, number, k), truth, len(catalog), k),
        popularity=_quality(_lists(by_popularity, users, number, k), truth, len(catalog), k),
        tiers=dict(Counter(row.tier for row in by_model)),
        ann_recall=recall,
    )


def _lists_of(
    connection: Connection, model_id: int, users: Sequence[str], cut: datetime, k: int
) -> tuple[list[Any], list[Any]]:
    """Return what the version and popularity serve to users who did nothing after a time.

    A savepoint for each batch: rolling back to it lets go of the locks taken since.
    """
    by_model: list[Any] = []
    by_popularity: list[Any] = []
    for start in range(0, len(users), BATCH):
        batch = {"users": users[start : start + BATCH], "k": k}
        savepoint = connection.begin_nested()
        # First: its trigger keeps activations out until the savepoint is left.
        connection.execute(_FORGET, {"users": batch["users"], "cut": cut})
        versions.stop_trial(connection)  # else that version would answer some of them
        connection.execute(_LET_ANSWER, {"model": model_id, "all": ALL})
        by_model += connection.execute(_BY_MODEL, batch)
        by_popularity += connection.execute(_BY_POPULARITY, batch)
        savepoint.rollback()
    return by_model, by_popularity


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
