"""What training reads, refuses before it learns, and lets go of before it publishes."""

from __future__ import annotations

import gc
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, text

from recs import Interaction, Item, Recommender
from recs.errors import BadInput, NothingToLearn
from recs.learning import Space, Timescale, TrainingConfig
from recs.learning.signals import Signals
from recs.learning.trained import TrainedModel
from recs.learning.validation import Validation
from recs.training import active, gate, pipeline, reading, versions
from recs.training.indexing import IndexOptions

pytestmark = pytest.mark.end_to_end
FIRST, DAY = datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=1)


@pytest.fixture
def shop(engine: Engine) -> Engine:
    """Return a shop of 60 items in four groups, whose 160 users keep to one, a day apart."""
    recommender = Recommender(engine)
    recommender.upsert_items(
        Item(f"{group}-{n}", f"{group} {n}") for group in "abcd" for n in range(15)
    )
    recommender.record_interactions(
        Interaction(
            f"user-{u}", f"{'abcd'[u % 4]}-{(u + 2 * n) % 15}", occurred_at=FIRST + (u + n) * DAY
        )
        for u in range(160)
        for n in range(7)
    )
    return engine


def test_an_interaction_dated_years_ahead_changes_nothing_that_is_learned(shop: Engine) -> None:
    before = reading.read(shop)
    ahead = datetime.now(UTC) + 1800 * DAY
    Recommender(shop).record_interactions([Interaction("user-0", "d-3", occurred_at=ahead)])
    after = reading.read(shop)
    assert after.trained_until == before.trained_until
    np.testing.assert_array_equal(
        after.interactions.history_weights(90.0), before.interactions.history_weights(90.0)
    )
    assert after.n_interactions == before.n_interactions == 160 * 7


def test_where_all_interactions_lie_ahead_the_error_names_the_time_up_to_which_there_are_none(
    engine: Engine,
) -> None:
    shop = Recommender(engine)
    shop.upsert_items([Item("clock-1")])
    now = datetime.now(UTC)
    shop.record_interactions([Interaction("ann", "clock-1", occurred_at=now + 2 * DAY)])
    with pytest.raises(NothingToLearn, match=f"no interactions up to {now:%Y-%m-%d}") as caught:
        reading.read(engine)
    assert "later ones" in str(caught.value.hint)


@pytest.mark.parametrize("weight", [1e13, 1e-13])
def test_a_weight_that_learning_could_not_count_with_is_named(shop: Engine, weight: float) -> None:
    with shop.begin() as connection:  # as before the table refused it
        connection.execute(
            text("ALTER TABLE recs.interactions DROP CONSTRAINT interactions_weight_check")
        )
        connection.execute(
            text("INSERT INTO recs.interactions (user_id, item_id, weight)"
                 " VALUES ('user-0', 'd-3', :weight)"), {"weight": weight},
        )  # fmt: skip
    with pytest.raises(BadInput, match=f"weighs {weight:.0e}".replace("+", r"\+")) as caught:
        reading.read(shop)
    assert "WHERE weight NOT BETWEEN 1e-12 AND 1e+12" in str(caught.value.hint)


def test_training_lets_go_of_what_it_does_not_publish_before_it_publishes(
    shop: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = (reading.Content, TrainedModel, Signals, Validation)
    # Those of other tests; held, so that no new one gets the place of an old one.
    before = [one for one in gc.get_objects() if type(one) in kinds]
    known, alive = set(map(id, before)), []

    def publish(*_arguments: object, **_options: object) -> None:
        gc.collect()
        found = [one for one in gc.get_objects() if type(one) in kinds and id(one) not in known]
        alive.extend(type(one).__name__ for one in found)
        raise InterruptedError

    monkeypatch.setattr(pipeline.publishing, "publish", publish)
    config = TrainingConfig(dimension=16, max_epochs=1, timescales=(Timescale(90.0, 90.0),))
    with pytest.raises(InterruptedError):
        pipeline.train_model(shop, config=config)
    assert not alive


QUICK = TrainingConfig(dimension=8, epochs=1, timescales=(Timescale(90.0, 90.0),), device="cpu")


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Space, Space | None]]:
    """Return the spaces that are fitted, and their trials; of figures that no other has."""
    made: list[tuple[Space, Space | None]] = []
    fit = pipeline.fit_space

    def fit_and_tell(*arguments: Any, **options: Any) -> tuple[Space, Space | None]:
        assert options["content"].any(axis=1).all()  # titles say where items are
        space, trial = fit(*arguments, **options)
        seasonality = np.linspace(0.5, 2, len(space.item_embeddings), dtype=np.float32)
        space = replace(space, seasonality=seasonality, popularity_half_life_days=7.0)
        made.append((space, trial))
        return made[-1]

    monkeypatch.setattr(pipeline, "fit_space", fit_and_tell)
    return made


def test_what_serves_after_a_training_is_the_space_that_was_fitted(
    shop: Engine, fitted: list[tuple[Space, Space | None]]
) -> None:
    Recommender(shop).upsert_items([Item("new", "a new")])
    report = pipeline.train_model(shop, config=QUICK, force=True, index=IndexOptions(m=9))
    ((space, _),) = fitted
    data = reading.read(shop)
    serving = active.read(shop, data.item_ids)
    assert serving is not None
    served, until = serving
    known = space.learned
    assert np.flatnonzero(~known).tolist() == [data.item_ids.index("new")]
    vectors, expected = served.item_embeddings[known], space.item_embeddings[known]
    np.testing.assert_allclose(vectors, expected, atol=2e-3)
    np.testing.assert_allclose(served.seasonality[known], space.seasonality[known], rtol=1e-5)
    found, wanted = (one.pool(data.interactions).embeddings for one in (served, space))
    np.testing.assert_allclose(found @ vectors.T, wanted @ expected.T, atol=5e-3)
    assert served.half_life_days == space.half_life_days == report.history_half_life == 90
    assert until == pytest.approx(data.interactions.trained_until)
    with shop.connect() as connection:
        sources = connection.execute(
            text("SELECT item_id, source FROM recs.item_embeddings WHERE source <> 'interactions'")
        ).all()
        assert sources == [("new", "content")]
        supports = "SELECT DISTINCT support FROM recs.user_embeddings"
        assert connection.execute(text(supports)).scalars().all() == [7]
        indexes = "SELECT count(*) FROM pg_class WHERE 'm=9' = ANY (reloptions)"
        assert connection.execute(text(indexes)).scalar_one() >= 1
        half_life = "SELECT popularity_half_life FROM recs.models"
        assert connection.execute(text(half_life)).scalar_one() == 7
    assert (report.users, report.items, report.interactions) == (160, 61, 160 * 7)


def test_what_is_judged_has_not_seen_the_slice_and_is_compared_with_what_serves(
    shop: Engine, fitted: list[tuple[Space, Space | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, asked = gate.judge, []

    def ask(*arguments: Any, **options: Any) -> gate.Verdict:
        asked.append((arguments[1], arguments[2], options["active_until"], options["held_back"]))
        return judge(*arguments, **options)

    monkeypatch.setattr(gate, "judge", ask)
    for _ in range(2):
        pipeline.train_model(shop, config=QUICK, force=True)
    (first, nothing, never, _), (second, serving, until, held_back) = asked
    assert first is fitted[0][1]
    assert second is fitted[1][1] is not None
    assert (nothing, never, held_back) == (None, -math.inf, False)
    np.testing.assert_allclose(serving.item_embeddings, fitted[0][0].item_embeddings, atol=2e-3)
    assert until == pytest.approx(reading.read(shop).interactions.trained_until)


def _shop_of_many_items(engine: Engine, *, dated: bool) -> None:
    shop = Recommender(engine)
    shop.upsert_items(Item(f"item-{n}") for n in range(4000))
    shop.record_interactions(
        Interaction(
            f"user-{n % 50}", f"item-{n}", occurred_at=FIRST + (n % 7 if dated else 0) * DAY
        )
        for n in range(4000)
    )


def test_settings_whose_vectors_no_index_could_hold_are_refused_before_anything_is_learned(
    engine: Engine,
) -> None:
    _shop_of_many_items(engine, dated=False)
    config = TrainingConfig(dimension=128, association_dimension=512)
    with pytest.raises(BadInput, match=r"could have 4130 numbers .* expected 4000 at most"):
        pipeline.train_model(engine, config=config)


def test_a_dimension_that_no_index_could_hold_is_refused_by_name(engine: Engine) -> None:
    with pytest.raises(BadInput, match=r"with dimension 4001 .* expected 4000 at most"):
        pipeline.train_model(engine, config=TrainingConfig(dimension=4001))


def test_settings_whose_vectors_an_index_holds_are_not_refused_for_detail_that_is_not_tried(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Associations are read more finely, in twice the dimensions, only where nothing is dated."""

    def learn(*_arguments: object, **_options: object) -> None:
        raise InterruptedError

    monkeypatch.setattr(pipeline, "train", learn)
    _shop_of_many_items(engine, dated=True)
    config = TrainingConfig(dimension=128, association_dimension=512)
    with pytest.raises(InterruptedError):
        pipeline.train_model(engine, config=config)


@pytest.mark.parametrize(("dimension", "fits"), [(3998, True), (3999, False)])
def test_vectors_may_be_as_wide_as_an_index_holds_and_no_wider(dimension: int, fits: bool) -> None:
    config = TrainingConfig(dimension=dimension)
    if fits:
        pipeline._check_width(config, ())  # and two numbers for popularity and newness
    else:
        with pytest.raises(BadInput, match="could have 4001 numbers"):
            pipeline._check_width(config, ())


def test_where_there_is_nothing_to_learn_popularity_is_made_all_the_same(engine: Engine) -> None:
    shop = Recommender(engine)
    shop.upsert_items([Item("clock-1"), Item("clock-2")])
    shop.record_interactions([Interaction("ann", "clock-2", occurred_at=FIRST)])
    with pytest.raises(NothingToLearn, match="two different items"):
        pipeline.train_model(engine)
    with engine.connect() as connection:
        popular = connection.execute(text("SELECT item_id FROM recs.item_popularity")).scalars()
        assert popular.all() == ["clock-2"]


def test_what_is_not_to_be_activated_is_not_though_it_is_forced(shop: Engine) -> None:
    config = TrainingConfig(dimension=8, epochs=1, timescales=(Timescale(90.0, 90.0),))
    report = pipeline.train_model(shop, config=config, force=True, activate=False)
    assert not report.activated
    with shop.connect() as connection:
        (version,) = versions.list_versions(connection)
    assert version.state == "ready"
