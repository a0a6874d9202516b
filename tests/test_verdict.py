"""What the gate says of spaces made by hand: beats popularity, is no worse than what serves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from recs.learning import Interactions, Space
from recs.learning.popularity import popularity
from recs.learning.validation import Validation
from recs.training import gate
from tests.learning import planted

NEVER = -math.inf


@pytest.fixture(scope="module")
def data() -> Interactions:
    """Return interactions of users with tastes, each spread over two years."""
    pairs = planted.planted(predictability=0.95)
    return Interactions.from_pairs(
        pairs.user,
        pairs.item,
        n_users=pairs.n_users,
        n_items=pairs.n_items,
        last_occurred_at=np.random.default_rng(1).uniform(0, 730, len(pairs.user)),
    )


@pytest.fixture(scope="module")
def validation(data: Interactions) -> Validation:
    return planted.held(data)


def space(vectors: np.ndarray) -> Space:
    """Return a space in which a user is the sum of the items' own vectors."""
    items = vectors.astype(np.float32)
    return Space(
        item_embeddings=items,
        history_embeddings=items,
        tower_dimension=items.shape[1],
        scale=1.0,
        half_life_days=math.inf,
        learned=np.ones(len(items), bool),
        blend=None,
    )


GOOD = space(planted.content_of(blur=0.1))
FAIR = space(planted.content_of(blur=0.5))
CONTRARY = replace(GOOD, history_embeddings=-GOOD.history_embeddings)


def judge(
    data: Interactions,
    validation: Validation,
    trial: Space | None,
    active: Space | None = None,
    *,
    until: float = NEVER,
    held_back: bool = False,
) -> gate.Verdict:
    return gate.judge(
        data, trial, active, validation=validation, active_until=until, held_back=held_back
    )


def test_what_beats_popularity_passes_where_nothing_serves(
    data: Interactions, validation: Validation
) -> None:
    verdict = judge(data, validation, GOOD)
    assert verdict.passed
    assert verdict.against_active is None
    assert verdict.notes == []
    assert verdict.model is not None
    assert verdict.popularity is not None
    assert verdict.model.value == verdict.model.recall + verdict.model.ndcg
    assert verdict.model.value > verdict.popularity.value


def test_what_is_no_better_than_popularity_is_refused_and_so_is_what_equals_it(
    data: Interactions, validation: Validation
) -> None:
    sold = popularity(validation.train, half_life_days=math.inf)[:, None]
    best_sellers = space(sold + 1e-6)
    for trial in (CONTRARY, best_sellers):
        verdict = judge(data, validation, trial)
        assert not verdict.passed
        assert ["do not beat popularity's" in refusal for refusal in verdict.refusals] == [True]
    assert verdict.model == verdict.popularity


def test_what_is_worse_than_what_serves_is_refused_and_what_equals_it_passes(
    data: Interactions, validation: Validation
) -> None:
    verdict = judge(data, validation, FAIR, GOOD)
    assert ["do not beat the active model's" in told for told in verdict.refusals] == [True]
    assert judge(data, validation, FAIR).passed
    for trial, active in ((GOOD, GOOD), (GOOD, FAIR)):
        verdict = judge(data, validation, trial, active)
        assert verdict.passed
        assert verdict.against_active is not None
        assert verdict.against_active[0].value >= verdict.against_active[1].value
    document = verdict.document()
    assert document["candidate_since_active_recall"] >= document["active_recall"] > 0


def test_what_serves_is_compared_by_what_neither_has_seen(
    data: Interactions, validation: Validation
) -> None:
    last = np.sort(data.first_occurred_at)
    for unseen in (5, 29):  # so few interactions that fewer than thirty users did them
        verdict = judge(data, validation, FAIR, GOOD, until=float(last[-unseen - 1]))
        assert verdict.passed
        assert verdict.against_active is None
        (note,) = verdict.notes
        assert "users have interactions that neither model has seen, expected 30" in note
    assert judge(data, validation, FAIR, GOOD, until=float(last[-1000])).against_active


def test_what_was_held_back_from_learning_does_not_take_over_from_what_has_learned_it(
    data: Interactions, validation: Validation
) -> None:
    later = data.trained_until + 1
    verdict = judge(data, validation, GOOD, FAIR, until=later, held_back=True)
    assert ["it has learned until" in refusal for refusal in verdict.refusals] == [True]
    assert judge(data, validation, GOOD, FAIR, until=later).passed
    assert judge(data, validation, GOOD, FAIR, until=data.trained_until, held_back=True).passed


def test_of_a_model_for_which_nothing_could_be_held_out_nothing_is_known(
    data: Interactions, validation: Validation
) -> None:
    verdict = judge(data, validation, None)
    assert not verdict.passed
    assert verdict.users == 0
