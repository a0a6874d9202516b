"""A version that is named is judged and measured as if it served, and serves nobody by that."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import Engine, event, text

from recs import Item, Recommender, database
from recs.cli import main
from recs.errors import BadInput
from recs.health import AnnRecall, measure
from recs.training import evaluation, pipeline, versions
from tests import shops
from tests.locks import wait_until_one_waits

N, D, K = 40, 8, 5
USERS = [f"user-{u:02}" for u in range(20)]
LATER = -timedelta(days=1)  # `shops.record` counts back from the end of the training
TABLES = (
    "interactions", "items", "item_popularity", "models", "item_embeddings", "user_embeddings",
    "audit_events",
)  # fmt: skip
Prepare = Callable[[Engine, int], None]


def vectors(seed: int) -> np.ndarray:
    return shops.unit(np.random.default_rng(seed).normal(size=(N, D)))


def publish(engine: Engine, seed: int, *, activate: bool = False) -> int:
    """Publish a version that knows all users, and content, of which its vectors are."""
    random = np.random.default_rng(0)
    histories = {user: random.choice(N, 3, replace=False).tolist() for user in USERS}
    what = shops.publication(shops.item_ids(N), vectors(seed), histories=histories)
    what = replace(what, items=replace(what.items, content_embedding=vectors(seed)))
    return shops.publish(engine, what, activate=activate)


def lists_of(engine: Engine, model_id: int, k: int = K) -> dict[str, list[str]]:
    """Return what a version serves where it is the active one, by user."""
    with engine.connect() as connection:
        versions.activate(connection, model_id)
        lists = Recommender(connection).recommend_many(USERS, k)
        connection.rollback()
    return {user: [row.item_id for row in rows] for user, rows in lists.items()}


def contents(engine: Engine) -> dict[str, Any]:
    """Return all rows of what an evaluation touches."""
    with engine.connect() as connection:
        return {
            table: connection.execute(text(f"SELECT t::text FROM recs.{table} t ORDER BY 1")).all()
            for table in TABLES
        }


@pytest.fixture
def pair(engine: Engine) -> tuple[int, int]:
    """Return the active version, and one that is ready, whose first choices were bought later.

    A third one is ready, too.
    """
    ids = shops.insert_items(engine, N)
    random = np.random.default_rng(0)
    shops.record(engine, [(u, ids[j]) for u in USERS for j in random.choice(N, 3, replace=False)])
    active, ready = publish(engine, 1, activate=True), publish(engine, 2)
    publish(engine, 3)
    bought = {user: items[0] for user, items in lists_of(engine, ready).items()}
    shops.record(engine, list(bought.items()), before=LATER)
    return active, ready


def as_it_is(_engine: Engine, _model_id: int) -> None:
    pass


def retired(engine: Engine, model_id: int) -> None:
    with engine.begin() as connection:
        versions.activate(connection, model_id)
        versions.roll_back(connection)


def active(engine: Engine, model_id: int) -> None:
    with engine.begin() as connection:
        versions.activate(connection, model_id)


def on_trial(engine: Engine, model_id: int) -> None:
    with engine.begin() as connection:
        versions.start_trial(connection, model_id, 0.3)


def beside_a_trial(engine: Engine, model_id: int) -> None:
    on_trial(engine, model_id + 1)


def none_active(engine: Engine, _model_id: int) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE recs.models SET state = 'retired' WHERE state = 'active'"))


SITUATIONS = [as_it_is, retired, active, on_trial, beside_a_trial, none_active]


@pytest.mark.parametrize("prepare", SITUATIONS)
def test_a_version_is_judged_by_what_it_would_serve_to_all_and_nothing_is_left_of_that(
    engine: Engine, pair: tuple[int, int], prepare: Prepare
) -> None:
    prepare(engine, pair[1])
    before = contents(engine)
    found = evaluation.evaluate(engine, k=1, model_id=pair[1])
    assert (found.model_id, found.users, found.tiers) == (pair[1], 20, {"model": 20})
    assert (found.model.recall, found.ann_recall) == (1, AnnRecall(1, 1, 1))
    assert evaluation.evaluate(engine, k=1, model_id=pair[0]).model.recall < 0.5
    assert contents(engine) == before


def test_a_version_that_is_named_is_given_the_items_that_came_after_it(
    engine: Engine, pair: tuple[int, int]
) -> None:
    """Users come to buy what is new and like what the version would show first."""
    with engine.begin() as connection:
        connection.execute(
            text("DELETE FROM recs.interactions WHERE occurred_at > :cut"),
            {"cut": shops.TRAINED_UNTIL},
        )
    firsts = sorted({items[0] for items in lists_of(engine, pair[1]).values()})
    seeds = vectors(2)
    Recommender(engine).upsert_items(
        Item(f"new {item}", content_vector=seeds[int(item.removeprefix("item-"))].tolist())
        for item in firsts
    )
    shown = lists_of(engine, pair[1])
    assert any(item.startswith("new") for items in shown.values() for item in items)
    wanted = [(user, item) for user, items in shown.items() for item in items if item[:3] == "new"]
    shops.record(engine, wanted, before=LATER)
    before = contents(engine)
    assert evaluation.evaluate(engine, k=K, model_id=pair[1]).model.recall == 1
    assert contents(engine) == before


def test_the_index_that_is_measured_is_that_of_the_version_named(
    engine: Engine, pair: tuple[int, int]
) -> None:
    hidden = "DELETE FROM recs.item_embeddings WHERE model_id = :id AND item_id <> 'item-0'"
    with engine.begin() as connection:
        connection.execute(
            text("DELETE FROM recs.user_embeddings WHERE model_id = :id"), {"id": pair[1]}
        )
        connection.execute(text(hidden), {"id": pair[0]})
    assert evaluation.evaluate(engine, model_id=pair[1]).ann_recall is None
    assert evaluation.evaluate(engine).ann_recall is not None
    with engine.connect() as connection:
        ready, served = (measure(connection, model_id=id_) for id_ in (pair[1], None))
    assert (ready.model_id, ready.items, ready.users, ready.ann_recall) == (pair[1], N, 0, None)
    assert (served.model_id, served.items, served.users) == (pair[0], 1, 20)


class Meanwhile:
    """Does things in sessions of others while lists are asked for, a batch at a time."""

    def __init__(self, engine: Engine, dsn: str) -> None:
        self.dsn = dsn
        self.batches: list[dict[int, str]] = []
        self.actions: dict[int, Callable[[], None]] = {}
        self.engine = database.make_engine(dsn)  # of the others
        event.listen(engine, "after_cursor_execute", self._after)

    def _after(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "recommend_many" in statement:
            self.batches.append(shops.states(self.engine))
            self.actions.get(len(self.batches), lambda: None)()

    def run(self, statement: str, *parameters: Any) -> None:
        """Run a statement that gives up rather than wait."""
        with psycopg.connect(self.dsn, options="-c lock_timeout=2s") as session:
            session.execute(statement.encode(), parameters)


@pytest.fixture
def meanwhile(engine: Engine, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Meanwhile]:
    monkeypatch.setattr(evaluation, "BATCH", 5)
    others = Meanwhile(engine, dsn)
    yield others
    others.engine.dispose()


@pytest.mark.parametrize("prepare", SITUATIONS)
def test_events_items_and_lists_do_not_wait_for_an_evaluation(
    engine: Engine, pair: tuple[int, int], meanwhile: Meanwhile, prepare: Prepare
) -> None:
    prepare(engine, pair[1])

    def act() -> None:
        meanwhile.run("SELECT recs.record_interaction('user-00', 'item-7')")
        meanwhile.run(
            "INSERT INTO recs.items (item_id, content_vector) VALUES ('late', %s::real[])",
            vectors(1)[0].tolist(),
        )
        meanwhile.run("UPDATE recs.items SET title = 'another' WHERE item_id IN ('item-3', 'late')")
        meanwhile.run("UPDATE recs.items SET attributes = %s WHERE item_id = 'item-4'", Jsonb({}))
        meanwhile.run("SELECT count(*) FROM recs.recommend('user-00', 40)")

    meanwhile.actions[1] = act
    assert evaluation.evaluate(engine, model_id=pair[1]).users == 20
    assert len(meanwhile.batches) == 4


def test_an_activation_waits_for_a_batch_and_the_version_that_is_judged_stays_the_same(
    engine: Engine, pair: tuple[int, int], meanwhile: Meanwhile
) -> None:
    active(engine, pair[1])
    third = pair[1] + 1
    with ThreadPoolExecutor(1) as pool:
        activations: list[Future[None]] = []

        def activate() -> None:
            statement = f"SELECT recs.activate_model({third})"
            activations.append(pool.submit(meanwhile.run, statement))
            wait_until_one_waits(meanwhile.engine, "advisory")

        meanwhile.actions[2] = activate
        found = evaluation.evaluate(engine, k=1)
        activations[0].result()
    assert (found.model_id, found.model.recall) == (pair[1], 1)
    # After the batch that it waited for or, since it tries a moment at a time, a later one.
    assert [batch[third] for batch in meanwhile.batches[:2]] == ["ready", "ready"]
    assert shops.states(engine)[third] == "active"


def test_an_item_that_sells_out_or_arrives_during_an_evaluation_is_no_error(
    engine: Engine, pair: tuple[int, int], meanwhile: Meanwhile
) -> None:
    sold_out = "UPDATE recs.items SET available = false WHERE item_id <> 'item-0'"
    meanwhile.actions[2] = lambda: meanwhile.run(sold_out)
    meanwhile.actions[3] = lambda: meanwhile.run("INSERT INTO recs.items (item_id) VALUES ('new')")
    assert evaluation.evaluate(engine, k=N, model_id=pair[1]).users == 20


def test_a_training_that_ends_waits_for_an_evaluation_and_keeps_nobody_from_writing_items(
    engine: Engine, pair: tuple[int, int], meanwhile: Meanwhile
) -> None:
    third = pair[1] + 1
    with ThreadPoolExecutor(1) as pool:
        trainings: list[Future[None]] = []

        def train() -> None:
            trainings.append(pool.submit(pipeline._finish, meanwhile.engine, third))
            wait_until_one_waits(meanwhile.engine, "advisory")
            meanwhile.run("INSERT INTO recs.items (item_id) VALUES ('late')")

        meanwhile.actions[1] = train
        assert evaluation.evaluate(engine, k=1, model_id=pair[1]).model.recall == 1
        trainings[0].result()
    assert shops.states(engine)[third] == "active"


@pytest.fixture
def neighbour(engine: Engine, dsn: str) -> int:
    """Return a version of another tenant."""
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO recs.tenants (tenant_id) VALUES ('acme')"))
    acme = database.make_engine(dsn, tenant_id="acme")
    ids = shops.insert_items(acme, 5, tenant="acme")
    theirs = shops.publish(acme, shops.publication(ids, np.eye(5)))
    acme.dispose()
    return theirs


@pytest.mark.parametrize("command", ["evaluate", "health"])
def test_a_version_that_cannot_be_asked_is_named_with_what_was_expected(
    engine: Engine, dsn: str, neighbour: int, command: str, capsys: Any
) -> None:
    with engine.begin() as connection:
        failed, training = connection.execute(
            text(
                "INSERT INTO recs.models (name, dimension, state)"
                " VALUES ('a', 4, 'failed'), ('b', 4, 'training') RETURNING model_id"
            )
        ).scalars()
    for model_id, message in (
        (999, "tenant default has no model 999"),
        (-(2**70), f"tenant default has no model {-(2**70)}"),
        (neighbour, f"tenant default has no model {neighbour}"),
        (failed, f"model {failed} is failed, expected ready, active or retired"),
        (training, f"model {training} is training, expected ready, active or retired"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["--dsn", dsn, "--json", command, "--model", str(model_id)])
        assert stopped.value.code == 1
        assert json.loads(capsys.readouterr().err) == {
            "error": message, "hint": "list them: recs models list",
        }  # fmt: skip
    for model_id in (999, neighbour, failed):
        with (
            engine.connect() as connection,
            pytest.raises(BadInput, match=f"no model {model_id} that is ready, active or retired"),
        ):
            measure(connection, model_id=model_id)


def test_the_commands_print_figures_of_the_version_named(
    engine: Engine, dsn: str, pair: tuple[int, int], capsys: Any
) -> None:
    main(["--dsn", dsn, "evaluate", "--k", "1", "--model", str(pair[1]), "--json"])
    document = json.loads(capsys.readouterr().out)
    assert (document["model_id"], document["model"]["recall"]) == (pair[1], 1)
    main(["--dsn", dsn, "evaluate", "--model", str(pair[1])])
    assert f"model {pair[1]}: 20 users" in capsys.readouterr().out
    main(["--dsn", dsn, "health", "--model", str(pair[1])])
    printed = capsys.readouterr().out
    assert f"{pair[1]}: hand" in printed
    assert "mean 1.000, p1 1.000, min 1.000, of 20 users" in printed
    assert "not timed: it answers none of them" in printed


def test_lists_are_timed_of_those_whom_a_version_answers(
    engine: Engine, pair: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "recs.recommend(" in statement:
            asked.append(parameters["user"])

    event.listen(engine, "after_cursor_execute", note)

    def users_timed(model_id: int) -> set[str]:
        asked.clear()
        with engine.connect() as connection:
            assert (measure(connection, model_id=model_id).milliseconds is None) == (not asked)
        return set(asked)

    assert users_timed(pair[0]) == set(USERS)
    assert users_timed(pair[1]) == set()
    on_trial(engine, pair[1])
    with engine.connect() as connection:
        share = set(
            connection.execute(
                text(
                    "SELECT u FROM unnest(CAST(:u AS text[])) u WHERE recs.serving_model(u) = :id"
                ),
                {"u": USERS, "id": pair[1]},
            ).scalars()
        )
    assert 0 < len(share) < len(USERS)
    assert users_timed(pair[1]) == share
    assert users_timed(pair[0]) == set(USERS) - share
