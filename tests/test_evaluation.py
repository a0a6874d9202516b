"""`recs evaluate`: figures of the lists that are served, and nothing left behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, text

from recs import Recommender
from recs.cli import main
from recs.errors import BadInput, NothingToLearn
from recs.health import AnnRecall
from recs.training import evaluation, versions
from tests import shops

ITEMS, USERS, K = 60, 20, 5
LATER = -timedelta(days=1)  # `shops.record` counts back from the end of the training


@pytest.fixture
def served(engine: Engine) -> dict[str, list[str]]:
    """Publish a shop; return the lists that it serves to users of three items each."""
    random = np.random.default_rng(11)
    ids = shops.insert_items(engine, ITEMS)
    users = [f"user-{u:02}" for u in range(USERS)]
    histories = {user: random.choice(ITEMS, 3, replace=False).tolist() for user in users}
    shops.record(engine, [(user, ids[j]) for user, items in histories.items() for j in items])
    vectors = random.normal(size=(ITEMS, 8))
    shops.publish(engine, shops.publication(ids, vectors, histories=histories))
    with engine.begin() as connection:
        connection.execute(text("SELECT recs.refresh_popularity()"))
    lists = Recommender(engine).recommend_many(users, ITEMS)
    return {user: [row.item_id for row in rows] for user, rows in lists.items()}


def contents(engine: Engine) -> dict[str, Any]:
    """Return all rows of what an evaluation touches."""
    with engine.connect() as connection:
        return {
            table: connection.execute(text(f"SELECT t::text FROM recs.{table} t ORDER BY 1")).all()
            for table in ("interactions", "item_popularity", "models", "user_embeddings")
        }


def test_figures_are_of_the_lists_as_served_before_what_came_later(
    engine: Engine, served: dict[str, list[str]]
) -> None:
    # Half of them buy the first item of their list, the others one from below its end.
    wanted = {user: items[0 if u % 2 else K] for u, (user, items) in enumerate(served.items())}
    shops.record(engine, list(wanted.items()), before=LATER)
    found = evaluation.evaluate(engine, k=K)
    model = found.model
    assert (found.users, model.recall, model.ndcg, model.hit_rate) == (USERS, 0.5, 0.5, 0.5)
    shown = {item for items in served.values() for item in items[:K]}
    assert model.catalog_coverage == pytest.approx(len(shown) / ITEMS)
    assert found.tiers == {"model": USERS * K}
    assert found.ann_recall == AnnRecall(1, 1, 1)


def test_what_is_new_to_a_user_and_for_sale_is_what_is_looked_for(
    engine: Engine, served: dict[str, list[str]]
) -> None:
    """Not what the user had before, nor what is sold out, nor of users that are new themselves."""
    first = {user: items[0] for user, items in served.items()}
    with engine.begin() as connection:
        had = connection.execute(
            text("SELECT user_id, item_id FROM recs.interactions WHERE user_id > 'user-05'")
        ).all()
        connection.execute(
            text("INSERT INTO recs.items (item_id, available) VALUES ('out', false)")
        )
    shops.record(engine, [*first.items(), *((user, "out") for user in served)], before=LATER)
    shops.record(engine, [(row.user_id, row.item_id) for row in had], before=LATER)
    shops.record(engine, [("new here", "item-0"), ("new here", "item-1")], before=LATER)
    found = evaluation.evaluate(engine, k=K)
    assert found.users == USERS
    assert found.model.recall == 1
    few = evaluation.evaluate(engine, k=K, users=7)
    assert (few.users, sum(few.tiers.values())) == (7, 7 * K)


def test_popularity_is_judged_beside_the_model_as_it_was_before_what_came_later(
    engine: Engine, served: dict[str, list[str]]
) -> None:
    """All buy one thing that nobody had bought: it is popular now, and was not then."""
    untouched = {row for items in served.values() for row in items}
    with engine.begin() as connection:
        bought = connection.execute(text("SELECT item_id FROM recs.interactions")).scalars()
        best = connection.execute(
            text("SELECT item_id FROM recs.popular_items ORDER BY popularity DESC, item_id LIMIT 1")
        ).scalar_one()
        fad = min(untouched - set(bought))
    shops.record(engine, [(user, fad) for user in served], before=LATER)
    with engine.begin() as connection:
        connection.execute(text("SELECT recs.refresh_popularity()"))
    assert evaluation.evaluate(engine, k=1).popularity.recall == 0
    strangers_to_it = [user for user, items in served.items() if best in items]
    shops.record(engine, [(user, best) for user in strangers_to_it], before=LATER)
    found = evaluation.evaluate(engine, k=1)
    assert found.popularity.hit_rate == pytest.approx(len(strangers_to_it) / USERS)


def test_an_evaluation_leaves_the_database_as_it_was(
    engine: Engine, served: dict[str, list[str]]
) -> None:
    shops.record(engine, [(user, items[0]) for user, items in served.items()], before=LATER)
    before = contents(engine)
    assert len(before["interactions"]) == 4 * USERS
    evaluation.evaluate(engine, k=K)
    assert contents(engine) == before


def test_a_version_on_trial_has_no_part_in_what_is_said_of_the_active_one(
    engine: Engine, served: dict[str, list[str]]
) -> None:
    shops.record(engine, [(user, items[0]) for user, items in served.items()], before=LATER)
    vectors = np.random.default_rng(5).normal(size=(ITEMS, 8))
    other = shops.publish(engine, shops.publication(shops.item_ids(ITEMS), vectors), activate=False)
    with engine.begin() as connection:
        versions.start_trial(connection, other, 0.9)
    lists = Recommender(engine).recommend_many(served, K)
    assert {u: [row.item_id for row in rows] for u, rows in lists.items()} != {
        user: items[:K] for user, items in served.items()
    }
    before = contents(engine)
    found = evaluation.evaluate(engine, k=K)
    assert (found.model_id, found.model.recall) == (1, 1)
    assert contents(engine) == before


def test_since_a_time_what_was_done_before_it_is_known_and_what_was_done_after_is_looked_for(
    engine: Engine, served: dict[str, list[str]]
) -> None:
    users = list(served)
    shops.record(engine, [(user, served[user][0]) for user in users], before=-timedelta(days=1))
    with engine.connect() as connection:
        later = Recommender(connection).recommend_many(users, K)
    shops.record(
        engine, [(user, later[user][0].item_id) for user in users[:4]], before=-timedelta(days=3)
    )
    since = shops.TRAINED_UNTIL + timedelta(days=2)
    before = contents(engine)
    found = evaluation.evaluate(engine, k=1, since=since)
    assert (found.since, found.users, found.model.recall) == (since, 4, 1)
    assert contents(engine) == before
    now = evaluation.evaluate(engine, k=1)
    assert now == evaluation.evaluate(engine, k=1, since=shops.TRAINED_UNTIL)
    # From the end of the training on, half of what the four did was first.
    assert now.model.recall == (USERS - 4 + 4 / 2) / USERS


def test_a_version_is_not_judged_on_what_it_has_learned(
    engine: Engine, served: dict[str, list[str]]
) -> None:
    evaluated = shops.TRAINED_UNTIL - timedelta(microseconds=1)
    with pytest.raises(BadInput, match="has learned of what was done until") as caught:
        evaluation.evaluate(engine, since=evaluated)
    assert caught.value.hint == "take a later time"


def test_without_anything_after_the_training_there_is_nothing_to_judge(
    engine: Engine, served: dict[str, list[str]]
) -> None:
    with pytest.raises(NothingToLearn, match="recs train --until"):
        evaluation.evaluate(engine)


def test_without_an_active_model_there_is_nothing_to_evaluate(engine: Engine) -> None:
    with pytest.raises(BadInput, match="no model is active"):
        evaluation.evaluate(engine)


@pytest.fixture
def unknown(engine: Engine) -> Engine:
    """Return a shop whose users chose only items that the active model does not know."""
    ids = shops.insert_items(engine, 12)
    known = ids[:8]
    shops.publish(engine, shops.publication(known, np.random.default_rng(0).normal(size=(8, 4))))
    for user in ("ann", "bob"):
        shops.record(engine, [(user, ids[8])], before=-LATER)
        shops.record(engine, [(user, ids[9])], before=LATER)
    return engine


def test_of_a_version_without_users_nothing_is_said_of_the_index(unknown: Engine) -> None:
    found = evaluation.evaluate(unknown)
    assert found.users == 2
    assert found.ann_recall is None


@pytest.mark.usefixtures("unknown")
def test_the_command_says_so(dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--dsn", dsn, "evaluate"])
    assert "nothing is known of the index" in capsys.readouterr().out


def test_a_sample_of_nobody_is_refused(dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--dsn", dsn, "evaluate", "--users", "0"])
    assert left.value.code == 2
    assert "--users" in capsys.readouterr().err


def test_the_command_asks_for_the_sample_and_prints_each_figure_in_its_place(
    dsn: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def evaluated(_engine: Engine, **options: Any) -> evaluation.Evaluation:
        asked.append(options)
        return evaluation.Evaluation(
            model_id=3, k=7, users=9, since=shops.TRAINED_UNTIL,
            model=evaluation.Quality(0.11, 0.12, 0.13, 0.14),
            popularity=evaluation.Quality(0.21, 0.22, 0.23, 0.24),
            tiers={}, ann_recall=AnnRecall(0.97, 0.8, 0.5),
        )  # fmt: skip

    monkeypatch.setattr(evaluation, "evaluate", evaluated)
    main(["--dsn", dsn, "evaluate", "--k", "7", "--users", "9", "--seed", "5"])
    main(["--dsn", dsn, "evaluate", "--since", "2024-06-02 03:04:05"])
    since = datetime(2024, 6, 2, 3, 4, 5, tzinfo=UTC)
    assert asked == [
        {"k": 7, "users": 9, "seed": 5, "model_id": None, "since": None},
        {"k": 20, "users": 2000, "seed": 0, "model_id": None, "since": since},
    ]
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["recommend()", "0.1100", "0.1200", "0.1300", "0.1400"] in lines
    assert ["popularity", "0.2100", "0.2200", "0.2300", "0.2400"] in lines
    assert lines[-1][-6:] == ["mean", "0.970,", "p1", "0.800,", "min", "0.500"]
