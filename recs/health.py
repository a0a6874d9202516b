"""How well what serves does: recall of the live index, time of a list, age and size."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean, quantiles
from typing import Any

from sqlalchemy import Connection, text

from recs.errors import BadInput


@dataclass(frozen=True)
class AnnRecall:
    """ann_recall@k over users, see recs.measure_ann_recall: a mean hides who gets nothing."""

    mean: float
    p1: float
    min: float

    @staticmethod
    def of(values: Sequence[float]) -> AnnRecall | None:
        """Return it of a value per user; None without users."""
        if not values:
            return None
        return AnnRecall(fmean(values), _percentile(values, 1), min(values))


@dataclass(frozen=True)
class Latency:
    """Milliseconds of a call of recs.recommend, the way there and back included."""

    p50: float
    p99: float


@dataclass(frozen=True)
class Health:
    """What `recs health` prints of a version; None where it has no users to ask for.

    Args:
        items: that have a vector; `new_items` of them by their content alone.
        interactions_since: trained_until; they are in answers, and not in what was learned.
        milliseconds: of those users whom it answers; None where it answers nobody.
        index_bytes: of its indexes, on disk; `bytes` of all that the version has.
    """

    model_id: int
    name: str
    created_at: datetime
    trained_until: datetime | None
    exact_search: bool
    items: int
    new_items: int
    interactions_since: int
    index_bytes: int
    bytes: int
    k: int
    users: int
    ann_recall: AnnRecall | None
    milliseconds: Latency | None

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class ServiceLevel:
    """What is expected of what serves; None: nothing."""

    ann_recall: float | None = None
    ann_recall_p1: float | None = None
    p99_milliseconds: float | None = None
    age_days: float | None = None

    def missed(self, found: Health, *, now: datetime | None = None) -> list[str]:
        """Say what falls short at a time, in words; what could not be measured does not."""
        misses = []
        if found.ann_recall is not None:
            for name, expected, value in (
                ("ann_recall", self.ann_recall, found.ann_recall.mean),
                ("the first percentile of ann_recall", self.ann_recall_p1, found.ann_recall.p1),
            ):
                if expected is not None and value < expected:
                    misses.append(f"{name} is {value:.3f}, expected {expected:g} at least")
        slowest, times = self.p99_milliseconds, found.milliseconds
        if slowest is not None and times is not None and times.p99 > slowest:
            misses.append(f"p99 is {times.p99:.1f} ms, expected {slowest:g} at most")
        age = ((now or datetime.now(UTC)) - found.created_at) / timedelta(days=1)
        if self.age_days is not None and age > self.age_days:
            misses.append(f"the model is {age:.1f} days old, expected {self.age_days:g} at most")
        return misses


def measure(
    connection: Connection,
    *,
    k: int = 10,
    users: int = 100,
    seed: int = 0,
    model_id: int | None = None,
) -> Health:
    """Measure a version, by default the active one, in the caller's transaction. Reads only.

    Compares all items for each of `users` users, and asks recs.recommend for k items of those
    whom the version answers, one after the other.

    Raises:
        BadInput: no model is active, or the one that is named has no vectors here.
    """
    facts = connection.execute(text(_FACTS), {"model": model_id}).one_or_none()
    if facts is None and model_id is None:
        raise BadInput("no model is active", hint="run: recs train")
    if facts is None:
        raise BadInput(
            f"there is no model {model_id} that is ready, active or retired",
            hint="list them: recs models list",
        )
    recalls = _recalls(connection, k=k, users=users, seed=seed, model=facts.model_id)
    return Health(
        **facts._mapping,
        k=k,
        users=len(recalls),
        ann_recall=AnnRecall.of(list(recalls.values())),
        milliseconds=_latency(connection, _answered(connection, list(recalls), facts.model_id), k),
    )


def ann_recall(
    connection: Connection,
    *,
    k: int = 10,
    users: int = 100,
    seed: int = 0,
    model_id: int | None = None,
) -> AnnRecall | None:
    """Measure how much of the exact nearest items lists of a version have; None: no users.

    By default of the active one. In the caller's transaction; reads only.
    """
    recalls = _recalls(connection, k=k, users=users, seed=seed, model=model_id)
    return AnnRecall.of(list(recalls.values()))


def _recalls(connection: Connection, **sample: int | None) -> dict[str, float]:
    """Return ann_recall@k by user."""
    statement = (
        "SELECT user_id, ann_recall"
        " FROM recs.measure_ann_recall(:k, :users, :seed, CAST(:model AS bigint))"
    )
    return {row.user_id: row.ann_recall for row in connection.execute(text(statement), sample)}


def _answered(connection: Connection, users: Sequence[str], model_id: int) -> list[str]:
    """Return those of some users whom a version answers now."""
    statement = (
        "SELECT u FROM unnest(CAST(:users AS text[])) u WHERE recs.serving_model(u) = :model"
    )
    found = connection.execute(text(statement), {"users": list(users), "model": model_id})
    return list(found.scalars())


def _latency(connection: Connection, users: Sequence[str], k: int) -> Latency | None:
    if not users:
        return None
    statement, times = text("SELECT * FROM recs.recommend(:user, :k)"), []
    connection.execute(statement, {"user": users[0], "k": k}).all()  # plans are made once a session
    for user in users:
        start = time.perf_counter()
        connection.execute(statement, {"user": user, "k": k}).all()
        times.append(1000 * (time.perf_counter() - start))
    return Latency(_percentile(times, 50), _percentile(times, 99))


def _percentile(values: Sequence[float], which: int) -> float:
    """Interpolate as PostgreSQL's percentile_cont does."""
    if len(values) == 1:
        return values[0]
    return quantiles(values, n=100, method="inclusive")[which - 1]


_FACTS = """
SELECT m.model_id, m.name, m.created_at, m.trained_until, m.exact_search, e.items, e.new_items,
  (SELECT count(*) FROM recs.interactions i
   WHERE i.tenant_id = m.tenant_id AND i.occurred_at > m.trained_until) AS interactions_since,
  s.index_bytes, s.bytes
FROM recs.models m
CROSS JOIN LATERAL (
  SELECT count(*) AS items, count(*) FILTER (WHERE v.source = 'content') AS new_items
  FROM recs.item_embeddings v
  WHERE v.tenant_id = m.tenant_id AND v.model_id = m.model_id
) e
CROSS JOIN LATERAL (
  SELECT sum(pg_indexes_size(p))::bigint AS index_bytes,
         sum(pg_total_relation_size(p))::bigint AS bytes
  FROM unnest(ARRAY['item_embeddings', 'user_embeddings', 'content_terms']) t,
    to_regclass(format('recs.%I', t || '_' || m.model_id)) p
) s
WHERE m.tenant_id = recs.current_tenant() AND m.state IN ('ready', 'active', 'retired')
  AND CASE WHEN CAST(:model AS bigint) IS NULL THEN m.state = 'active'
           ELSE m.model_id = CAST(:model AS bigint) END"""
