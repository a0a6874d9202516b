"""Training: choose timescale and epochs on a held-out slice, then learn from everything."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from recs.learning.config import TIMELESS, Timescale, TrainingConfig
from recs.learning.graph import Graph, initial_embeddings
from recs.learning.interactions import Floats, Interactions
from recs.learning.losses import sampled_softmax
from recs.learning.model import TwoTower
from recs.learning.sampling import Batch, Sampler
from recs.learning.trained import TrainedModel, tower_users, unit_rows
from recs.learning.validation import Validation, hold_out, score


@dataclass(frozen=True)
class Progress:
    """One finished epoch. recall and ndcg are nan when nothing is held out."""

    stage: str
    epoch: int
    epochs: int
    loss: float
    recall: float
    ndcg: float
    seconds: float


OnProgress = Callable[[Progress], None]


@dataclass
class Timings:
    """Seconds by phase, of all epochs together."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        """Add the time spent inside to a phase."""
        start = time.perf_counter()
        yield
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start

    def shares(self) -> dict[str, float]:
        """Compute each phase's share of the whole."""
        whole = sum(self.seconds.values()) or 1.0
        return {phase: seconds / whole for phase, seconds in self.seconds.items()}


@dataclass(frozen=True)
class _Trial:
    timescale: Timescale
    epochs: int
    value: float  # recall@20 + ndcg@20 on the validation slice
    scores: list[tuple[float, float]]
    model: TrainedModel | None = None


def train(
    interactions: Interactions,
    *,
    config: TrainingConfig | None = None,
    on_progress: OnProgress | None = None,
) -> TrainedModel:
    """Learn item vectors from interactions; the same seed on the same machine, the same vectors.

    Time and memory are linear in interactions. Items nobody has interacted with are not `learned`;
    their content places them, see cold_items.

    Raises:
        ValueError: no user has two items, so there is nothing to predict from anything.
    """
    config = config or TrainingConfig()
    if not (interactions.lengths >= 2).any():
        raise ValueError(f"no user of {interactions.n_users} has two items, expected one at least")
    timings = Timings()
    best = _choose(interactions, config, timings, on_progress)
    run = _Run(interactions, best.timescale, config, timings)
    losses = []
    for epoch in range(1, best.epochs + 1):
        losses.append(run.epoch())
        _report(on_progress, "train", epoch, best.epochs, losses[-1], (math.nan, math.nan), timings)
    model = run.result()
    metrics = {
        "epochs": best.epochs,
        "losses": losses,
        "validation": best.scores,
        "seconds": dict(timings.seconds),
        "shares": timings.shares(),
    }
    return replace(model, metrics=metrics, trial=best.model)


def _choose(
    interactions: Interactions,
    config: TrainingConfig,
    timings: Timings,
    on_progress: OnProgress | None,
) -> _Trial:
    """Try each timescale on the validation slice, and stop it early; keep the best."""
    timescales = config.timescales if interactions.has_times else (TIMELESS,)
    if config.epochs is not None and len(timescales) == 1:
        return _Trial(timescales[0], config.epochs, math.nan, [])
    validation = hold_out(
        interactions,
        share=config.validation_share,
        max_users=config.validation_users,
        generator=np.random.default_rng(config.seed),
    )
    if not len(validation.users):
        return _Trial(timescales[-1], config.epochs or 5, math.nan, [])
    trials = [_try(validation, scale, config, timings, on_progress) for scale in timescales]
    return max(trials, key=lambda trial: trial.value)


def _try(
    validation: Validation,
    timescale: Timescale,
    config: TrainingConfig,
    timings: Timings,
    on_progress: OnProgress | None,
) -> _Trial:
    run = _Run(validation.train, timescale, config, timings)
    limit = config.epochs or config.max_epochs
    best = _Trial(timescale, limit, -math.inf, [])
    scores: list[tuple[float, float]] = []
    for epoch in range(1, limit + 1):
        loss = run.epoch()
        model = run.result()
        scores.append(run.score(model, validation))
        _report(on_progress, _name(timescale), epoch, limit, loss, scores[-1], timings)
        if sum(scores[-1]) > best.value:
            best = _Trial(timescale, epoch, sum(scores[-1]), scores, model)
        if epoch - best.epochs >= config.patience:
            break
    return best if config.epochs is None else replace(best, epochs=config.epochs)


class _Run:
    """One model being trained on one set of interactions."""

    def __init__(
        self,
        interactions: Interactions,
        timescale: Timescale,
        config: TrainingConfig,
        timings: Timings,
    ) -> None:
        self._interactions, self._timescale, self._config = interactions, timescale, config
        self._timings = timings
        self._steps = self._epochs = 0
        self._device = _device(config.device)
        self._sampler = Sampler(
            interactions, timescale, config=config, generator=np.random.default_rng(config.seed)
        )
        with timings.measure("initialise"):
            weights = interactions.history_weights(timescale.half_life_days)
            self._graph = Graph.of(interactions.matrix(weights))
            start = initial_embeddings(self._graph, config.dimension, seed=config.seed)
        self._model = TwoTower(*start).to(self._device)
        self._optimizer = torch.optim.Adam(
            self._model.parameters(), lr=config.learning_rate, fused=True
        )

    def epoch(self) -> float:
        """Go once over all users; return the mean loss, in nats a target."""
        total, batches = 0.0, self._sampler.epoch()
        for _ in range(len(self._sampler)):
            with self._timings.measure("data"):
                batch = next(batches)
            with self._timings.measure("forward"):
                loss = self._loss(batch)
                total += loss.item()
            with self._timings.measure("backward"):
                self._set_learning_rate()
                self._optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                self._optimizer.step()
        self._epochs += 1
        return total / max(len(self._sampler), 1)

    def _set_learning_rate(self) -> None:
        config = self._config
        self._steps += 1
        rate = config.learning_rate * config.learning_rate_decay**self._epochs
        for group in self._optimizer.param_groups:
            group["lr"] = rate * min(1.0, self._steps / max(config.warmup_steps, 1))

    def _loss(self, batch: Batch) -> Tensor:
        to = self._to
        users = self._model.user_tower(
            to(batch.history_items), to(batch.history_weights), to(batch.history_offsets)
        )  # [B, D]
        items = self._model.item_tower(to(batch.candidates))  # [N, D]
        return sampled_softmax(
            users,
            items,
            to(batch.target_rows),
            to(batch.target_columns),
            to(batch.target_weights),
            temperature=self._config.temperature,
            log_inclusion=None if batch.log_inclusion is None else to(batch.log_inclusion),
            masked_rows=to(batch.masked_rows),
            masked_columns=to(batch.masked_columns),
        )

    def _to(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self._device)

    def score(self, model: TrainedModel, validation: Validation) -> tuple[float, float]:
        """Compute recall@20 and ndcg@20 of a model as it would be served."""
        with self._timings.measure("validate"):
            users = tower_users(self._interactions, model)[validation.users]
            return score(self._to(users), self._to(model.item_embeddings), validation)

    def result(self) -> TrainedModel:
        """Export the vectors as they are served."""
        history = self._smoothed(self._model.history.detach().cpu().numpy())
        seen = np.bincount(self._interactions.item, minlength=self._interactions.n_items) > 0
        with torch.no_grad():
            items = self._model.item_tower().cpu().numpy()
        return TrainedModel(
            item_embeddings=unit_rows(items),
            history_embeddings=history * seen[:, None],
            learned=seen,
            timescale=self._timescale,
            temperature=self._config.temperature,
            config=self._config,
        )

    def _smoothed(self, history: Floats) -> Floats:
        """Compute (P + a S P) / w0: what an item says is backed by what it is seen with.

        w0 is the mean weight, which training divides by; folded in here, SQL need not know it.
        """
        strength = self._config.history_smoothing
        smoothed = history + strength * self._graph.smooth(history) if strength else history
        result: Floats = (smoothed * self._sampler.history_scale).astype(np.float32)
        return result


def _device(name: str) -> torch.device:
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _name(timescale: Timescale) -> str:
    return f"half-life {timescale.half_life_days:g}/{timescale.target_half_life_days:g} days"


def _report(
    on_progress: OnProgress | None,
    stage: str,
    epoch: int,
    epochs: int,
    loss: float,
    scores: tuple[float, float],
    timings: Timings,
) -> None:
    if on_progress is not None:
        elapsed = sum(timings.seconds.values())
        on_progress(Progress(stage, epoch, epochs, loss, *scores, elapsed))
