"""What SQL computes for newcomers, against its reference in Python."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace

import numpy as np
import pytest
from sqlalchemy import Engine, text

from recs.learning.blend import NEVER, Blend
from recs.learning.cold_items import find_neighbors
from recs.learning.space import compose
from recs.learning.vectors import unit_rows
from recs.training import pipeline
from tests.learning.reference import direction, noise, weighted_sum


@pytest.mark.parametrize("fading", [3.0, 30.0, NEVER])
@pytest.mark.parametrize("support", [1, 8, 300])
@pytest.mark.parametrize("known", [1.0, 1e-5])  # at the least, popularity is all that is left
def test_sql_blends_a_user_of_any_support_as_the_reference_does(
    engine: Engine, support: int, fading: float, known: float
) -> None:
    space = compose(noise(0), Blend(tower_fading=fading))
    weights = {3: known, 7: known / 2}
    history = weighted_sum(space.history_embeddings, weights).astype(np.float32)
    blend = pipeline.blend_weights(space)
    assert blend is not None
    with engine.connect() as connection:
        blended = connection.execute(
            text(
                "SELECT recs.blend_user(CAST(:history AS vector), :support,"
                " jsonb_populate_record(NULL::recs.models, CAST(:weights AS jsonb)))::real[]"
            ),
            {
                "history": str(history.tolist()),
                "support": support,
                "weights": json.dumps(asdict(blend)),
            },
        ).scalar_one()
    expected = space.users(history[None], np.array([support]))[0]
    np.testing.assert_allclose(direction(np.array(blended)), direction(expected), atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [1, 3, 40])
def test_sql_weighs_neighbours_as_the_reference_does(engine: Engine, seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    known = unit_rows(generator.gamma(0.3, size=(count, 24)).astype(np.float32))
    known[-1] = known[0]  # two that are equal, if there are two
    new = unit_rows(known[:1] + 0.3 * generator.uniform(size=(1, 24)).astype(np.float32))
    similarity = np.maximum(known @ new[0], 0)
    expected = find_neighbors(new, known, np.ones(count, np.float32)).kriging.toarray()[0]
    with engine.connect() as connection:
        weights = connection.execute(
            text("SELECT recs.kriging_weights(CAST(:contents AS halfvec[]), :similarities)"),
            {
                "contents": [str(row.tolist()) for row in known],
                "similarities": similarity.astype(float).tolist(),
            },
        ).scalar_one()
    np.testing.assert_allclose(weights, expected, atol=2e-3)


@pytest.mark.parametrize("similarity", [0.0, 7e-12, 1e-10, 1e-9])
def test_neighbours_that_are_hardly_like_an_item_weigh_nothing(
    engine: Engine, similarity: float
) -> None:
    with engine.connect() as connection:
        weights = connection.execute(
            text("SELECT recs.kriging_weights(CAST(:contents AS halfvec[]), :similarities)"),
            {"contents": ["[1,0]", "[0,1]"], "similarities": [similarity] * 2},
        ).scalar_one()
    np.testing.assert_allclose(weights, [0, 0], atol=1e-12)


def test_what_is_published_of_a_blend_places_items_and_users_as_the_fitted_one_does() -> None:
    space = compose(noise(0), Blend())
    assert space.tower_length != 1  # what is read back has no such: the weights have it in them
    weights = pipeline.blend_weights(space)
    assert weights is not None
    told = asdict(weights)
    blend = Blend(**{field.name: told[field.name] for field in fields(Blend) if field.name in told})
    read = replace(space, blend=blend, tower_length=1.0)
    content = unit_rows(np.random.default_rng(0).gamma(0.3, size=(45, 12)).astype(np.float32))
    neighbors = find_neighbors(content[:5], content[5:], np.ones(40, np.float32))
    np.testing.assert_allclose(read.place(neighbors), space.place(neighbors), atol=1e-6)
    known, support = space.history_embeddings[:7], np.arange(1, 8)
    np.testing.assert_allclose(read.users(known, support), space.users(known, support), atol=1e-6)
