"""One model in training: where it starts, the loss of an epoch, and how far its steps go."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from recs.learning import TIMELESS, Interactions, Timescale, TrainingConfig
from recs.learning.graph import Graph, initial_embeddings
from recs.learning.progress import Timings
from recs.learning.run import Run
from recs.learning.sampling import Batch, Sampler
from recs.learning.trained import TrainedModel
from recs.learning.validation import Validation
from recs.learning.vectors import unit_rows
from tests.learning.planted import planted

FADING = Timescale(90.0, 60.0, later_from_earlier=True)
STILL = TrainingConfig(dimension=8, learning_rate=1e-12, device="cpu")  # it stays where it starts


def run_of(
    data: Interactions,
    config: TrainingConfig,
    *,
    timescale: Timescale = TIMELESS,
    temperature: float = 0.3,
) -> Run:
    return Run(data, timescale, temperature, config, Timings())


@pytest.fixture(scope="module")
def dated() -> Interactions:
    return planted(predictability=0.8, n_users=200, with_times=True)


def slow_loss(batch: Batch, model: TrainedModel, *, temperature: float) -> float:
    """Compute the loss of a batch user by user, from vectors as they are served."""
    ends = [*batch.history_offsets[1:], len(batch.history_items)]
    drawn = np.zeros(len(batch.candidates)) if batch.log_inclusion is None else batch.log_inclusion
    loss = 0.0
    for user, (start, end) in enumerate(zip(batch.history_offsets, ends, strict=True)):
        known = batch.history_items[start:end]
        total = batch.history_weights[start:end] @ model.history_embeddings[known]
        logits = model.item_embeddings[batch.candidates] @ total / np.linalg.norm(total)
        logits = logits.astype(np.float64) / temperature
        mine = batch.target_rows == user
        targets = batch.target_columns[mine]
        chance = drawn.copy()
        chance[targets] = 0  # a user's own targets are always there
        rivals = ~np.isin(batch.candidates, known)  # what is known is never recommended
        whole = np.log(np.exp(logits - chance)[rivals].sum())
        loss += float(batch.target_weights[mine] @ (whole - logits[targets]))
    return loss


@pytest.mark.parametrize("n_negatives", [40, 1024])
@pytest.mark.parametrize("steps", [4, 15])  # ten batches, of which three, or one, make a step
def test_the_loss_of_an_epoch_is_that_of_its_batches_by_the_slow_formula(
    dated: Interactions, n_negatives: int, steps: int
) -> None:
    config = replace(STILL, n_negatives=n_negatives, steps_per_epoch=steps, batch_size=20, seed=5)
    run = run_of(dated, config, timescale=FADING)
    found, model = run.epoch(), run.result()
    batches = Sampler(dated, FADING, config=config, generator=np.random.default_rng(5)).epoch()
    losses = [slow_loss(batch, model, temperature=0.3) for batch in batches]
    assert len(losses) == 10
    assert found == pytest.approx(np.mean(losses), rel=1e-4)


@pytest.mark.parametrize(("large", "power"), [(False, 0.0), (True, 2.0)])
def test_a_model_starts_at_the_graph_as_it_has_faded(
    dated: Interactions, large: bool, power: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recs.learning.catalog_defaults.LARGE_CATALOG", 240 if large else 241)
    model = run_of(dated, replace(STILL, smoothing=0.7, seed=5), timescale=FADING).result()
    graph = Graph.of(dated.histories(90.0))
    history, items = (
        start + 0.7 * graph.smooth(torch.from_numpy(start)).numpy()
        for start in initial_embeddings(graph, 8, seed=5, power=power)
    )
    seen = np.bincount(dated.item, minlength=dated.n_items) > 0
    np.testing.assert_allclose(model.history_embeddings[seen], history[seen], atol=1e-5)
    np.testing.assert_allclose(model.item_embeddings[seen], unit_rows(items)[seen], atol=1e-5)


def rates(
    data: Interactions, config: TrainingConfig, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> np.ndarray:
    """Return the learning rate of each step, [epochs, steps]."""
    found: list[float] = []

    def step(optimizer: torch.optim.Adam) -> None:
        found.append(optimizer.param_groups[0]["lr"])

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    run = run_of(data, config)
    for _ in range(epochs):
        run.epoch()
    return np.array(found).reshape(epochs, -1)


@pytest.mark.parametrize(("steps", "batches"), [(10, 1), (5, 2), (1, 10)])
def test_a_step_of_more_batches_goes_further_up_to_a_point_and_later_epochs_less_far(
    dated: Interactions, steps: int, batches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"learning_rate": 0.01, "learning_rate_decay": 0.8, "warmup_batches": 1}
    config = TrainingConfig(
        dimension=4, batch_size=20, steps_per_epoch=steps, device="cpu", **settings
    )
    found = rates(dated, config, 14, monkeypatch)
    assert found.shape == (14, steps)
    farther = {1: 1.0, 2: math.sqrt(2), 10: 2.5}[batches]
    # All after the first ten steps, in which whatever a step is made of it is careful.
    expected = 0.01 * farther * 0.8 ** np.repeat(np.arange(14), steps)
    np.testing.assert_allclose(found.ravel()[9:], expected[9:], rtol=1e-6)
    assert found.ravel()[0] == pytest.approx(0.1 * expected[0])


def test_the_rate_rises_from_nothing_over_the_first_batches(
    dated: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainingConfig(
        dimension=4, batch_size=20, learning_rate=0.01, learning_rate_decay=1.0,
        warmup_batches=20, device="cpu",
    )  # fmt: skip
    found = rates(dated, config, 3, monkeypatch).ravel()
    np.testing.assert_allclose(found, 0.01 * np.minimum(1, np.arange(1, 31) / 20), rtol=1e-6)


@pytest.mark.parametrize(("large", "decay"), [(False, 0.9), (True, 0.93)])
def test_a_large_catalog_slows_down_later_unless_it_is_told_otherwise(
    dated: Interactions, large: bool, decay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recs.learning.catalog_defaults.LARGE_CATALOG", 240 if large else 241)
    config = TrainingConfig(dimension=4, batch_size=20, warmup_batches=1, device="cpu")
    found = rates(dated, config, 3, monkeypatch)[:, -1]
    assert found[2] / found[1] == pytest.approx(decay)


def test_what_nobody_has_is_in_none_of_the_lists_that_an_epoch_is_judged_by() -> None:
    data = planted(predictability=0.9, n_users=100)
    known = data.select(data.item % 30 != 0)
    users = np.arange(100)
    run, figures = run_of(known, STILL), []
    held_out = [np.array([(user % 8) * 30 + 1]) for user in users]
    validation = Validation(known, users, held_out)
    model = run.result()
    for direction in (model.item_embeddings[0], model.item_embeddings[1:30].mean(axis=0)):
        items = np.where(model.learned[:, None], model.item_embeddings, 9 * direction)
        figures.append(run.score(replace(model, item_embeddings=items), validation))
    assert figures[0] == figures[1] > (0, 0)
