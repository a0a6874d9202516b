"""What is measured of what serves, and when that falls short."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, text

from recs import health as health_module
from recs.cli import main
from recs.errors import BadInput
from recs.health import AnnRecall, Health, Latency, ServiceLevel, ann_recall, measure
from recs.training.publication import UserVectors
from tests import shops

ITEMS, USERS, D = 60, 12, 8
MADE = datetime(2024, 6, 2, tzinfo=UTC)


@pytest.fixture
def shop(engine: Engine) -> Engine:
    """Return a shop whose version has vectors of 60 items and 12 users."""
    ids = shops.insert_items(engine, ITEMS)
    random = np.random.default_rng(0)
    users = [f"user-{u}" for u in range(USERS)]
    histories = random.normal(size=(USERS, D)).astype(np.float32)
    shops.record(engine, [(user, ids[0]) for user in users])
    shops.publish(
        engine,
        replace(
            shops.publication(ids, random.normal(size=(ITEMS, D))),
            users=UserVectors(
                users, histories, np.full(USERS, 1, np.int32), np.zeros(USERS, np.int64)
            ),
        ),
    )
    shops.record(engine, [(user, ids[1]) for user in users], before=-timedelta(days=1))
    return engine


@pytest.fixture
def ask(dsn: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a call of `recs health`: exit code, stdout, stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = 0
        try:
            main(["--dsn", dsn, "health", *arguments])
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        return code, *capsys.readouterr()

    return call


def found(engine: Engine, **options: int) -> Health:
    with engine.connect() as connection:
        return measure(connection, **options)


HEALTHY = Health(
    model_id=1, name="v", created_at=MADE, trained_until=MADE, exact_search=False,
    items=10, new_items=0, interactions_since=0, index_bytes=1, bytes=2, k=10, users=5,
    ann_recall=AnnRecall(0.97, 0.8, 0.5), milliseconds=Latency(1.5, 12.0),
)  # fmt: skip


def test_what_serves_is_described(shop: Engine) -> None:
    health = found(shop, k=5)
    assert (health.k, health.users, health.items, health.new_items) == (5, USERS, ITEMS, 0)
    assert health.ann_recall == AnnRecall(1, 1, 1)
    assert health.trained_until == shops.TRAINED_UNTIL
    assert health.interactions_since == USERS
    assert health.milliseconds is not None
    assert 0 < health.milliseconds.p50 <= health.milliseconds.p99
    with shop.connect() as connection:
        sizes = connection.execute(
            text(
                "SELECT pg_indexes_size('recs.item_embeddings_1')"
                " + pg_indexes_size('recs.user_embeddings_1'),"
                " pg_total_relation_size('recs.item_embeddings_1')"
                " + pg_total_relation_size('recs.user_embeddings_1')"
            )
        ).one()
    assert (health.index_bytes, health.bytes) == tuple(sizes)


def test_items_placed_by_their_content_are_told_apart(shop: Engine) -> None:
    shops.place(shop, {"item-new": shops.unit(np.ones(D))})
    health = found(shop)
    assert (health.items, health.new_items) == (ITEMS + 1, 1)


def test_measuring_writes_nothing(shop: Engine) -> None:
    with shop.connect() as connection:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        assert measure(connection).users == USERS


def test_of_a_version_without_users_neither_recall_nor_time_is_known(engine: Engine) -> None:
    ids = shops.insert_items(engine, ITEMS)
    shops.publish(engine, shops.publication(ids, np.random.default_rng(0).normal(size=(ITEMS, D))))
    health = found(engine)
    assert (health.users, health.ann_recall, health.milliseconds) == (0, None, None)


def test_one_user_is_enough(shop: Engine) -> None:
    health = found(shop, users=1)
    assert health.users == 1
    assert health.milliseconds is not None


def test_without_an_active_model_there_is_nothing_to_measure(engine: Engine) -> None:
    with pytest.raises(BadInput, match="no model is active"):
        found(engine)
    with engine.connect() as connection:
        assert ann_recall(connection) is None


def test_mean_and_percentile_of_recall_are_those_of_postgresql(engine: Engine) -> None:
    values = [1.0] * 60 + [0.9] * 7 + [0.2, 0.5]
    with engine.connect() as connection:
        expected = connection.execute(
            text(
                "SELECT avg(v), percentile_cont(0.01) WITHIN GROUP (ORDER BY v), min(v)"
                " FROM unnest(CAST(:values AS float8[])) v"
            ),
            {"values": values},
        ).one()
    of = AnnRecall.of(values)
    assert of is not None
    assert (of.mean, of.p1, of.min) == pytest.approx(tuple(expected))
    assert AnnRecall.of([0.7]) == AnnRecall(0.7, 0.7, 0.7)
    assert AnnRecall.of([]) is None


@pytest.mark.parametrize(
    ("level", "missed"),
    [
        (ServiceLevel(), []),
        (ServiceLevel(0.97, 0.8, 12.0, 2.0), []),
        (ServiceLevel(ann_recall=0.98), ["ann_recall is 0.970, expected 0.98 at least"]),
        (
            ServiceLevel(ann_recall_p1=0.9),
            ["the first percentile of ann_recall is 0.800, expected 0.9 at least"],
        ),
        (ServiceLevel(p99_milliseconds=10), ["p99 is 12.0 ms, expected 10 at most"]),
        (ServiceLevel(age_days=1.5), ["the model is 2.0 days old, expected 1.5 at most"]),
    ],
)
def test_a_service_level_says_what_falls_short_of_it(
    level: ServiceLevel, missed: list[str]
) -> None:
    assert level.missed(HEALTHY, now=MADE + timedelta(days=2)) == missed


def test_what_could_not_be_measured_is_not_missed() -> None:
    unknown = replace(HEALTHY, ann_recall=None, milliseconds=None)
    assert ServiceLevel(1, 1, 1, 3).missed(unknown, now=MADE + timedelta(days=2)) == []


def test_the_command_prints_what_it_found(shop: Engine, ask: Any) -> None:
    code, printed, _ = ask("--k", "5", "--min-ann-recall", "1", "--max-p99", "60000")
    assert code == 0
    assert "mean 1.000, p1 1.000, min 1.000, of 12 users" in printed
    assert "60, 0 of them by content alone" in printed


def test_the_command_fails_where_a_level_is_missed(shop: Engine, ask: Any) -> None:
    code, printed, error = ask("--json", "--max-age", "0.0000001")
    assert code == 1
    document = json.loads(printed)
    assert document["ann_recall"] == {"mean": 1, "p1": 1, "min": 1}
    assert document["missed"] == [json.loads(error)["error"]]
    assert document["missed"][0].startswith("the model is 0.0 days old")


def test_the_command_asks_for_the_sample_and_compares_each_level_with_its_figure(
    dsn: str, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def measured(_connection: Any, **options: Any) -> Health:
        asked.append(options)
        return replace(HEALTHY, exact_search=True)

    monkeypatch.setattr(health_module, "measure", measured)
    enough = ("--min-ann-recall", "0.9", "--min-ann-recall-p1", "0.7", "--max-p99", "13")
    code, printed, _ = ask("--k", "3", "--users", "4", "--seed", "7", *enough)
    assert code == 0
    assert asked == [{"k": 3, "users": 4, "seed": 7, "model_id": None}]
    assert re.search(r"search +of all items", printed)
    for level, missed in (
        (("--min-ann-recall", "0.98"), "ann_recall is 0.970"),
        (("--min-ann-recall-p1", "0.9"), "the first percentile of ann_recall is 0.800"),
        (("--max-p99", "11"), "p99 is 12.0 ms"),
        (("--max-age", "9"), "days old, expected 9 at most"),
    ):
        code, _, error = ask(*level)
        assert code == 1
        assert missed in error
