"""From interactions to answers, and what SQL does for newcomers against its reference in Python."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, text

from recs import Interaction, Item, Recommender, database
from recs.health import ann_recall
from recs.learning import Timescale, TrainingConfig
from recs.learning.adjustments import STRENGTHS
from recs.learning.cold_items import find_neighbors
from recs.learning.content import fit_encoder
from recs.learning.space import TAIL, TOWER_LENGTH
from recs.learning.term_kinds import KindWeights
from recs.training import active, pipeline, reading
from tests import shops
from tests.conftest import Databases
from tests.learning.reference import direction

pytestmark = pytest.mark.end_to_end
GROUPS = ("teapot", "lantern", "blanket", "clock")
FIRST, DAY = datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=1)
COLOURS = ("red", "blue", "green", "white", "black")


def _purchases() -> Iterator[Interaction]:
    """Buy seven items of a group a user, two of them twice; days apart, in no order of ids."""
    random = np.random.default_rng(0)
    for user in range(160):
        items = random.choice(15, 7, replace=False).tolist()
        for n, day in zip([*items, *items[-2:]], random.integers(0, 400, 9).tolist(), strict=True):
            item = f"{GROUPS[user % 4]}-{n}"
            yield Interaction(f"user-{user}", item, occurred_at=FIRST + day * DAY)


@pytest.fixture(scope="module")
def trained_template(databases: Databases, template: str) -> Iterator[str]:
    """Return the name of a database whose users keep to one of four groups of items, trained on."""
    name = databases.create(template)
    engine = database.make_engine(databases.dsn_of(name))
    shop = Recommender(engine)
    shop.upsert_items(
        Item(f"{group}-{n}", f"{COLOURS[n % 5]} {group} number{n % 7}")
        for group in GROUPS
        for n in range(15)
    )
    shop.record_interactions(_purchases())
    fading = (Timescale(90.0, 90.0),)
    config = TrainingConfig(dimension=16, max_epochs=3, timescales=fading, device="cpu")
    pipeline.train_model(engine, config=config, force=True)
    engine.dispose()
    yield name
    databases.drop(name)


@pytest.fixture
def trained(databases: Databases, trained_template: str) -> Iterator[Engine]:
    """Return an engine on a copy of that shop, of this test's own."""
    name = databases.create(trained_template)
    engine = database.make_engine(databases.dsn_of(name))
    yield engine
    engine.dispose()
    databases.drop(name)


def test_users_are_recommended_the_group_they_keep_to(trained: Engine) -> None:
    for u in range(8):
        rows = Recommender(trained).recommend(f"user-{u}", 5)
        assert {row.item_id.split("-")[0] for row in rows} == {GROUPS[u % 4]}
        assert {row.tier for row in rows} <= {"model", "fold_in"}


@pytest.mark.parametrize(
    "basket", [["clock-4"], ["clock-4", "lantern-1"], ["clock-4", "new", "clock-7"]]
)
def test_a_basket_gets_what_a_newcomer_with_it_gets_and_for_the_same_reasons(
    trained: Engine, basket: list[str]
) -> None:
    Recommender(trained).upsert_items([Item("new", "purple lantern number3")])
    rows = Recommender(trained).recommend_for_items(basket, 8)
    with trained.connect() as connection:
        newcomer = Recommender(connection)
        newcomer.record_interactions(Interaction("newcomer", item) for item in basket)
        expected = newcomer.recommend("newcomer", 8)
        connection.rollback()
    assert {row.tier for row in rows} == {"fold_in"}
    assert [(r.item_id, r.rank, r.reason) for r in rows] == [
        (r.item_id, r.rank, r.reason) for r in expected
    ]
    assert [r.score for r in rows] == pytest.approx([r.score for r in expected], abs=1e-3)


def test_training_leaves_the_planner_knowing_how_many_items_are_popular(trained: Engine) -> None:
    with trained.connect() as connection:
        known, rows = connection.execute(
            text(
                "SELECT c.reltuples, (SELECT count(*) FROM recs.item_popularity)"
                " FROM pg_class c WHERE c.oid = 'recs.item_popularity'::regclass"
            )
        ).one()
    assert known == rows > 0


def test_items_that_the_version_that_serves_does_not_know_are_read_back_as_not_learned(
    trained: Engine,
) -> None:
    read = active.read(trained, ["unknown", "teapot-3"])
    assert read is not None
    space, _ = read
    assert space.learned.tolist() == [False, True]
    assert not space.item_embeddings[0].any()
    assert not space.history_embeddings[0].any()


def test_a_version_says_how_far_content_drew_its_items(trained: Engine) -> None:
    assert _metrics(trained)["draw_strength"] in STRENGTHS


def test_a_new_item_stands_among_its_like_before_its_insert_commits(trained: Engine) -> None:
    with trained.connect() as connection:
        shop = Recommender(connection)
        shop.upsert_items([Item("new", "purple lantern number3")])
        rows = shop.similar_items("new", 5)
        assert {row.item_id.split("-")[0] for row in rows} == {"lantern"}
        assert {row.tier for row in rows} == {"similar"}
        connection.rollback()


def test_sql_encodes_and_places_an_item_as_the_reference_does(trained: Engine) -> None:
    before = reading.read(trained)
    assert before.content.frequencies is not None
    kinds = KindWeights(**_metrics(trained)["term_kinds"])
    encoder = fit_encoder(before.content.frequencies, kinds.of(before.content.kinds))
    content = encoder.encode(before.content.frequencies)
    twin = before.item_ids.index("clock-4")
    with trained.begin() as connection:  # a year of seasons, which the shop has not seen
        connection.execute(
            text("UPDATE recs.item_embeddings SET seasonality = 1.2 + hashtext(item_id) % 5 / 8.0")
        )
    # The same words in the same number as an item that training knew.
    Recommender(trained).upsert_items([Item("twin", "black clock number4")])
    vectors = _vectors(trained)
    assert vectors["twin"][1] == pytest.approx(content[twin], abs=2e-3)

    popularity = np.array([_popularity(trained).get(item, 0) for item in before.item_ids])
    neighbors = find_neighbors(content[[twin]], content, popularity)
    serving = active.read(trained, before.item_ids)
    assert serving is not None
    assert vectors["twin"][0] == pytest.approx(serving[0].place(neighbors)[0], abs=5e-3)


def _placed(engine: Engine, item_id: str) -> list[tuple[int, str]]:
    """Return the versions in which an item has a place, and the place."""
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT model_id, embedding::text FROM recs.item_embeddings WHERE item_id = :item"
                 " ORDER BY model_id"), {"item": item_id},
        )  # fmt: skip
        return [(row.model_id, row.embedding) for row in rows]


@pytest.mark.parametrize("dimension", ["of the encoder", "another"])
def test_a_version_that_learned_text_places_items_by_text_whatever_vector_they_bring(
    trained: Engine, dimension: str
) -> None:
    shop = Recommender(trained)
    with trained.connect() as connection:
        size = connection.execute(text("SELECT content_dimension FROM recs.models")).scalar_one()
    vector = [1.0, *[0.0] * (size - (1 if dimension == "of the encoder" else 2))]
    shop.upsert_items(
        [Item("text", "red teapot"), Item("both", "red teapot", content_vector=vector)]
    )
    assert _placed(trained, "both") == _placed(trained, "text") != []


def test_an_item_whose_new_content_says_nothing_loses_its_place(trained: Engine) -> None:
    shop = Recommender(trained)
    shop.upsert_items([Item("changing", "red teapot")])
    assert _placed(trained, "changing")
    shop.upsert_items([Item("changing", "Qxqxqx")])
    assert _placed(trained, "changing") == []


def test_an_encoder_may_change_its_dimension_and_versions_go_forth_and_back(engine: Engine) -> None:
    shop = Recommender(engine)
    random = np.random.default_rng(1)

    def supply(dimension: int, first: int) -> list[str]:
        names = [f"item-{first + n}" for n in range(20)]
        shop.upsert_items(
            Item(name, content_vector=random.uniform(size=dimension).tolist()) for name in names
        )
        return names

    def learn(names: list[str], dimension: int) -> int:
        vectors, content = random.normal(size=(20, 8)), random.uniform(size=(20, dimension))
        what = shops.publication(names, vectors)
        items = dataclasses.replace(what.items, content_embedding=shops.unit(content))
        return shops.publish(engine, dataclasses.replace(what, items=items))

    first = learn(supply(4, 0), 4)
    supply(4, 100)
    later = supply(6, 200)
    assert [model for model, _ in _placed(engine, "item-100")] == [first]
    assert _placed(engine, "item-200") == []
    second = learn(later, 6)
    supply(6, 300)
    with engine.begin() as connection:
        connection.execute(text("SELECT recs.roll_back_model()"))
    assert [model for model, _ in _placed(engine, "item-300")] == [second]
    supply(6, 100)  # an item that the first version has placed, and whose vector it cannot read now
    assert _placed(engine, "item-100") == []


def test_letters_of_a_title_tell_that_two_spellings_are_near(trained: Engine) -> None:
    Recommender(trained).upsert_items([Item("odd", "clockwork"), Item("other", "lanterne")])
    for item, group in (("odd", "clock"), ("other", "lantern")):
        rows = Recommender(trained).similar_items(item, 5)
        assert {row.item_id.split("-")[0] for row in rows} == {group}


def test_sql_makes_the_vectors_of_users_that_training_made(trained: Engine) -> None:
    data = reading.read(trained)
    serving = active.read(trained, data.item_ids)
    assert serving is not None
    space = serving[0]
    expected = space.pool(data.interactions).embeddings @ space.item_embeddings.T
    with trained.connect() as connection:
        for u in range(0, 160, 20):
            embedding = connection.execute(
                text("SELECT embedding::real[] FROM recs.user_vector(:user)"),
                {"user": data.user_ids[u]},
            ).scalar_one()
            scores = np.array(embedding) @ space.item_embeddings.T
            assert scores == pytest.approx(expected[u], abs=1e-3)


def test_what_training_stored_of_users_answers_for_them_all(trained: Engine) -> None:
    # A sum that seemed not to fit would be made anew from a whole history, at every call.
    with trained.connect() as connection:
        users = connection.execute(
            text("SELECT u.user_id, v.stored, v.recent FROM"
                 " (SELECT DISTINCT user_id FROM recs.interactions) u"
                 " CROSS JOIN recs.user_vector(u.user_id) v")
        ).all()  # fmt: skip
    assert len(users) == 160
    assert all(user.stored and user.recent == 0 for user in users)


def test_a_score_of_the_view_is_the_score_of_recommend_up_to_a_factor(trained: Engine) -> None:
    Recommender(trained).record_interactions(Interaction("newcomer", f"teapot-{n}") for n in (1, 2))
    served = {row.item_id: row.score for row in Recommender(trained).recommend("newcomer", 20)}
    with trained.connect() as connection:
        rows = connection.execute(
            text("SELECT item_id, score FROM recs.cold_start_users WHERE user_id = 'newcomer'")
        ).all()
    shown = {row.item_id: row.score for row in rows}
    ratios = [shown[item] / score for item, score in served.items()]
    # Popularity is that of now in the view, and that of training in the vectors.
    assert np.ptp(ratios) < 0.05 * np.mean(ratios)


def test_the_view_for_newcomers_blends_by_support_and_is_ordered_by_what_it_shows(
    trained: Engine,
) -> None:
    Recommender(trained).record_interactions([Interaction("newcomer", "teapot-1")])
    with trained.connect() as connection:
        rows = connection.execute(
            text("SELECT * FROM recs.cold_start_users WHERE user_id = 'newcomer'"
                 " ORDER BY score DESC LIMIT 10")
        ).all()  # fmt: skip
    assert rows[0].item_id.startswith("teapot-")
    assert "teapot-1" not in {row.item_id for row in rows}
    for row in rows:
        blend = row.weight * row.similarity + (1 - row.weight) * row.popularity
        assert row.score == pytest.approx(blend)
        assert 0 < row.weight <= 1
        assert row.support == 1


def test_the_view_of_new_items_expects_of_them_what_their_neighbours_sell(trained: Engine) -> None:
    Recommender(trained).upsert_items([Item("new", "red teapot number1")])
    with trained.connect() as connection:
        (row,) = connection.execute(
            text("SELECT * FROM recs.cold_start_items WHERE item_id = 'new'")
        ).all()
    assert row.support == 0
    assert row.weight == 0
    assert row.score == pytest.approx(row.neighbor_popularity)
    assert 0 < row.neighbor_popularity <= 1


def test_a_deleted_item_takes_its_vectors_along(trained: Engine) -> None:
    with trained.begin() as connection:
        connection.execute(text("DELETE FROM recs.items WHERE item_id = 'clock-1'"))
    assert "clock-1" not in _vectors(trained)


def test_similar_items_weigh_the_two_tower_part_as_one_of_length_two(trained: Engine) -> None:
    vectors = {item: q for item, (q, _) in _vectors(trained).items()}
    tower = 16
    for asked in ("teapot-3", "clock-9"):
        parts = vectors[asked][:tower], vectors[asked][tower:-TAIL]
        both = [2 / TOWER_LENGTH * direction(parts[0]), direction(parts[1]), np.zeros(TAIL)]
        query = direction(np.concatenate(both))
        scores = {item: query @ vector for item, vector in vectors.items() if item != asked}
        rows = Recommender(trained).similar_items(asked, 8)
        best = sorted(scores.values(), reverse=True)[:8]
        assert [row.score for row in rows] == pytest.approx(best, abs=2e-3)
        assert [row.score for row in rows] == pytest.approx(
            [scores[row.item_id] for row in rows], abs=2e-3
        )


def test_the_index_finds_what_exact_search_finds(trained: Engine) -> None:
    with trained.connect() as connection:
        recall = ann_recall(connection, k=5)
    assert recall is not None
    assert recall.mean > 0.98


def test_many_new_items_do_not_hide_the_learned_ones_from_the_index(trained: Engine) -> None:
    shop = Recommender(trained)
    shop.upsert_items(
        Item(f"new-{n}", f"{COLOURS[n % 5]} {GROUPS[n % 4]} number{n % 7}") for n in range(300)
    )
    with trained.connect() as connection:
        recall = ann_recall(connection, k=20)
    assert recall is not None
    assert recall.min == 1


def _vectors(engine: Engine) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT item_id, embedding::real[] AS q, content_embedding::real[] AS c"
                 " FROM recs.item_embeddings")
        ).all()  # fmt: skip
    return {row.item_id: (np.array(row.q), np.array(row.c)) for row in rows}


def _metrics(engine: Engine) -> dict[str, Any]:
    with engine.connect() as connection:
        metrics: dict[str, Any] = connection.execute(
            text("SELECT metrics FROM recs.models WHERE state = 'active'")
        ).scalar_one()
        return metrics


def _popularity(engine: Engine) -> dict[str, float]:
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT item_id, popularity FROM recs.item_popularity WHERE segment = ''")
        )
        return {row.item_id: row.popularity for row in rows}
