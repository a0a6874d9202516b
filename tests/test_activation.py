"""Activating a version and rolling back: one flip, at commit, of what can serve."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from recs.training import versions
from tests import shops

N = 60


@pytest.fixture
def ids(engine: Engine) -> list[str]:
    return shops.insert_items(engine, N)


def vectors(seed: int, dimension: int = 8) -> np.ndarray:
    return shops.unit(np.random.default_rng(seed).normal(size=(N, dimension)))


def test_activation_flips_what_is_served_and_roll_back_flips_it_back(
    engine: Engine, ids: list[str]
) -> None:
    old, new = vectors(4), vectors(2)
    first = shops.publish(engine, shops.publication(ids, old))
    second = shops.publish(engine, shops.publication(ids, new), activate=False)
    assert shops.first_choice(engine) == shops.nearest_to_first(old)
    with engine.begin() as connection:
        versions.activate(connection, second)
    assert shops.first_choice(engine) == shops.nearest_to_first(new)
    assert shops.states(engine) == {first: "retired", second: "active"}
    with engine.begin() as connection:
        assert versions.roll_back(connection) == first
    assert shops.first_choice(engine) == shops.nearest_to_first(old)
    assert shops.states(engine) == {first: "active", second: "retired"}


def test_roll_back_twice_goes_two_versions_back(engine: Engine, ids: list[str]) -> None:
    published = [shops.publish(engine, shops.publication(ids, vectors(s))) for s in range(3)]
    with engine.begin() as connection:
        assert versions.roll_back(connection) == published[1]
        assert versions.roll_back(connection) == published[0]
        with pytest.raises(DBAPIError, match="no model to roll back to"):
            versions.roll_back(connection)


def test_versions_of_different_dimension_serve_side_by_side(engine: Engine, ids: list[str]) -> None:
    small, large = vectors(4, 8), vectors(2, 24)
    shops.publish(engine, shops.publication(ids, small))
    shops.publish(engine, shops.publication(ids, large))
    assert shops.first_choice(engine) == shops.nearest_to_first(large)
    with engine.begin() as connection:
        versions.roll_back(connection)
    assert shops.first_choice(engine) == shops.nearest_to_first(small)


def test_a_flip_is_seen_at_commit_and_not_before(engine: Engine, ids: list[str]) -> None:
    old, new = vectors(4), vectors(2)
    shops.publish(engine, shops.publication(ids, old))
    second = shops.publish(engine, shops.publication(ids, new), activate=False)
    with engine.begin() as connection:
        versions.activate(connection, second)
        assert shops.first_choice(engine) == shops.nearest_to_first(old)
    assert shops.first_choice(engine) == shops.nearest_to_first(new)


def test_two_activations_at_once_leave_exactly_one_active(engine: Engine, ids: list[str]) -> None:
    published = [
        shops.publish(engine, shops.publication(ids, vectors(s)), activate=False) for s in range(2)
    ]

    def flip(model_id: int) -> None:
        for _ in range(10):
            with engine.begin() as connection:
                versions.activate(connection, model_id)

    with ThreadPoolExecutor(2) as pool:
        for flipping in [pool.submit(flip, model_id) for model_id in published]:
            flipping.result()
    assert sorted(shops.states(engine).values()) == ["active", "retired"]


def test_a_model_in_training_cannot_be_activated(engine: Engine, ids: list[str]) -> None:
    with (
        versions.new_version(engine, name="raw", dimension=8) as model_id,
        engine.begin() as connection,
        pytest.raises(DBAPIError, match=f"model {model_id} is training, expected ready"),
    ):
        versions.activate(connection, model_id)


def test_a_model_whose_training_failed_cannot_be_activated(engine: Engine, ids: list[str]) -> None:
    with (
        pytest.raises(InterruptedError),
        versions.new_version(engine, name="broken", dimension=8) as model_id,
    ):
        raise InterruptedError
    with (
        engine.begin() as connection,
        pytest.raises(DBAPIError, match=f"model {model_id} is failed, expected ready") as caught,
    ):
        versions.activate(connection, model_id)
    assert isinstance(caught.value.orig, psycopg.errors.ObjectNotInPrerequisiteState)


def test_activating_what_serves_changes_nothing_and_what_does_not_is_dated(
    engine: Engine, ids: list[str]
) -> None:
    first, second = (shops.publish(engine, shops.publication(ids, vectors(s))) for s in range(2))

    def row(model_id: int) -> versions.ModelVersion:
        with engine.connect() as connection:
            return versions.get_version(connection, model_id)

    before = row(second)
    assert before.previous_model_id == first
    assert before.activated_at is not None
    with engine.begin() as connection:
        versions.activate(connection, second)
    assert row(second) == before
    again = row(first).activated_at
    with engine.begin() as connection:
        assert versions.roll_back(connection) == first
    now = row(first).activated_at
    assert again is not None
    assert now is not None
    assert now > again
