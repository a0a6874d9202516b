"""What the gate says of spaces made by hand: beats popularity, is no worse than what serves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from recs.learning import Interactions, Space, train
from recs.learning.popularity import popularity
from recs.learning.trained import tower_users
from recs.learning.validation import Validation, score, split_at
from recs.metrics import recall_at_k
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


@pytest.mark.parametrize(
    ("recall", "ndcg", "passes"), [(0.5, 0.05, False), (0.2, 0.45, True), (0.05, 0.5, False)]
)
def test_more_of_recall_makes_up_for_less_of_ndcg_and_the_other_way_round(
    data: Interactions,
    validation: Validation,
    recall: float,
    ndcg: float,
    passes: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own, other = gate.Figures(recall, ndcg), gate.Figures(0.3, 0.3)
    monkeypatch.setattr(gate, "score_space", lambda space, _: own if space is FAIR else other)
    monkeypatch.setattr(gate, "_score_popularity", lambda *_: other)
    verdict = judge(data, validation, FAIR, GOOD)
    assert len(verdict.refusals) == (0 if passes else 2)  # by popularity, and by what serves


def test_both_are_compared_by_the_same_users(data: Interactions, validation: Validation) -> None:
    until = float(np.sort(data.first_occurred_at)[-200])
    assert until > validation.train.trained_until
    verdict = judge(data, validation, FAIR, FAIR, until=until)
    assert verdict.against_active is not None
    one, other = verdict.against_active
    assert one == other != verdict.model


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


@pytest.mark.parametrize(
    ("histories", "sold", "fades"),
    [(90.0, 7.0, 7.0), (90.0, None, 90.0), (math.inf, None, math.inf), (math.inf, 30.0, 30.0)],
)
def test_popularity_fades_as_the_model_says_where_it_is_compared(
    data: Interactions, validation: Validation, histories: float, sold: float | None, fades: float
) -> None:
    trial = replace(GOOD, half_life_days=histories, popularity_half_life_days=sold)
    verdict = judge(data, validation, trial)
    popular, lists = popularity(validation.train, half_life_days=fades), []
    for user in validation.users:
        known = validation.train.item[validation.train.user == user]
        lists.append(np.argsort(-np.where(np.isin(np.arange(240), known), -1, popular))[:20])
    assert verdict.popularity is not None
    expected = recall_at_k(np.array(lists), validation.held_out, k=20)
    assert verdict.popularity.recall == pytest.approx(expected)


def test_thirty_users_of_what_neither_has_seen_are_enough(
    data: Interactions, validation: Validation
) -> None:
    for moment in np.sort(data.first_occurred_at)[::-1]:
        later = split_at(data, cut=moment, max_users=100, generator=np.random.default_rng(0))
        if len(later.users) in {29, 30}:
            verdict = judge(data, validation, GOOD, FAIR, until=float(moment))
            assert (verdict.against_active is not None) == (len(later.users) == 30)
        if len(later.users) == 30:
            break


def test_what_a_model_has_not_learned_is_in_none_of_the_lists_that_are_judged(
    data: Interactions, validation: Validation
) -> None:
    learned = np.arange(240) % 10 != 0
    figures = []
    for unknown in (0.0, 9.0):  # all others would stand behind what everybody is nearest to
        items = np.where(learned[:, None], GOOD.item_embeddings, np.float32(unknown))
        trial = replace(GOOD, item_embeddings=items, learned=learned)
        figures.append(judge(data, validation, trial, trial))
    assert figures[0].model == figures[1].model
    assert figures[0].against_active == figures[1].against_active


def test_what_is_judged_by_is_the_slice_that_training_chose_by() -> None:
    config = replace(planted.SMALL, seed=7, validation_share=0.2)
    data = planted.planted(predictability=0.9)
    model, slice_of_seven = train(data, config=config), gate.validation_of(data, config)
    assert model.trial is not None
    users = tower_users(slice_of_seven.train, model.trial, slice_of_seven.users)
    items = torch.from_numpy(model.trial.item_embeddings)
    best = max(model.course.validation, key=sum)
    assert score(torch.from_numpy(users), items, slice_of_seven) == pytest.approx(best)
    other = gate.validation_of(data, replace(config, validation_share=0.3, validation_users=20))
    assert len(other.users) == 20
    assert sum(map(len, other.held_out)) > 2 * 20
