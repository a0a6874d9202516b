"""Where training computes: on a GPU if there is one, and there it learns the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recs.learning import TrainingConfig, fit_space, signals_of, train
from recs.learning.associations import Associations
from recs.learning.ease import fit_ease
from recs.learning.low_pass import fit_low_pass
from recs.learning.validation import score
from tests.learning.planted import SMALL, content_of, held, planted

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


@pytest.mark.parametrize(("there_is_one", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_a_gpu_if_there_is_one(
    there_is_one: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there_is_one)
    assert TrainingConfig().torch_device == torch.device(expected)
    assert TrainingConfig(device="cpu").torch_device == torch.device("cpu")


def product(associations: Associations) -> np.ndarray:
    return associations.history @ associations.items.T


@on_a_gpu
def test_associations_are_the_same_on_a_gpu() -> None:
    data = planted(predictability=0.8)
    weights = data.matrix(data.weight)
    for fit, dimension in ((fit_ease, 32), (fit_low_pass, 8)):
        here, there = (
            product(fit(weights, dimension=dimension, device=torch.device(name)))
            for name in ("cpu", "cuda")
        )
        np.testing.assert_allclose(there, here, atol=2e-3 * np.abs(here).max())


@on_a_gpu
def test_what_is_learned_on_a_gpu_serves_as_well() -> None:
    data, validation = planted(predictability=0.9), held(planted(predictability=0.9))
    values = []
    for name in ("cpu", "cuda"):
        model = train(data, config=replace(SMALL, device=name))
        _, trial = fit_space(data, signals_of(data, model), validation, content=content_of())
        assert trial is not None
        users = trial.pool(validation.train, validation.users).embeddings
        items = torch.from_numpy(trial.item_embeddings)
        values.append(sum(score(torch.from_numpy(users), items, validation)))
    assert values[1] == pytest.approx(values[0], rel=0.03)
    assert values[1] > 1.0  # recall and ndcg; by chance .1
