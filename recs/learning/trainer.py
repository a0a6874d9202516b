"""Training: choose timescale and epochs on a held-out slice, then learn from everything."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from recs.learning.catalog_defaults import catalog_defaults
from recs.learning.config import TIMELESS, Timescale, TrainingConfig
from recs.learning.graph import Graph, initial_embeddings
from recs.learning.interactions import Interactions
from recs.learning.losses import sampled_softmax
from recs.learning.model import Tables, TwoTower
from recs.learning.sampling import Batch, Sampler
from recs.learning.trained import Course, TrainedModel, tower_users, unit_rows
from recs.learning.validation import Validation, hold_out, score, split_latest

WARMUP_STEPS = 10  # at least, however many batches there are in one
MOST_RATES = 2.5  # times the learning rate, for a step of many batches
HOPELESS_EPOCHS = 6  # after so many, a trial that has not come
HOPELESS = 0.8  # of the way to the best one so far is given up
CLEARLY = 0.02  # better, for a second temperature to be taken: less is noise
ENOUGH_FOR_DRIFT = 50  # users: they say when what is wanted changes, too little of anything else
WIDER = (1, 2, 3)  # validation shares of the latest time, until so many users span it
SHORTEST = 1.0  # half-life of a history in days: by less, a user of last week is a stranger


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


@dataclass(frozen=True)
class _Trial:
    timescale: Timescale
    temperature: float
    epochs: int
    value: float  # recall@20 + ndcg@20 on the validation slice
    scores: list[tuple[float, float]]
    model: TrainedModel | None = None

    @staticmethod
    def of(timescale: Timescale, temperature: float, config: TrainingConfig) -> _Trial:
        """Return one that has not begun."""
        limit = config.epochs or config.max_epochs
        return _Trial(timescale, temperature, limit, -math.inf, [])


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
    run = _Run(interactions, best, config, timings)
    losses = []
    for epoch in range(1, best.epochs + 1):
        losses.append(run.epoch())
        _report(on_progress, "train", epoch, best.epochs, losses[-1], (math.nan, math.nan), timings)
    model = run.result()
    course = Course(best.epochs, losses, best.scores, dict(timings.seconds))
    return replace(model, course=course, trial=best.model)


def _choose(
    interactions: Interactions,
    config: TrainingConfig,
    timings: Timings,
    on_progress: OnProgress | None,
) -> _Trial:
    """Try each timescale on the validation slice; keep the best."""
    timescales = _timescales(interactions, config, timings, on_progress)
    if config.epochs is not None and len(timescales) == 1:
        return _Trial(timescales[0], config.temperature, config.epochs, math.nan, [])
    validation = hold_out(
        interactions,
        share=config.validation_share,
        max_users=config.validation_users,
        generator=np.random.default_rng(config.seed),
    )
    if not len(validation.users):
        return _Trial(timescales[-1], config.temperature, config.epochs or 5, math.nan, [])
    best = _best(validation, timescales, config, timings, on_progress)
    sharper = config.sharp_temperature < config.temperature
    if not (sharper and catalog_defaults(interactions.n_items).sharp):
        return best
    sharp = _Trial.of(best.timescale, config.sharp_temperature, config)
    sharp = _try(validation, sharp, best.value, config, timings, on_progress)
    return sharp if sharp.value > (1 + CLEARLY) * best.value else best


def _timescales(
    interactions: Interactions,
    config: TrainingConfig,
    timings: Timings,
    on_progress: OnProgress | None,
) -> list[Timescale]:
    """List what to try: those in days, or the relative one that wins against them all."""
    if not interactions.has_times:
        return [TIMELESS]
    in_days = [scale for scale in config.timescales if not scale.relative] or [TIMELESS]
    ages = [scale for scale in config.timescales if scale.relative]
    relative = [scale.absolute(interactions.median_age) for scale in ages]
    relative = [scale for scale in relative if scale.half_life_days >= SHORTEST]
    if not relative or not interactions.in_sittings:
        return in_days
    latest = split_latest(
        interactions,
        shares=[times * config.validation_share for times in WIDER],
        enough=ENOUGH_FOR_DRIFT,
        max_users=config.validation_users,
        generator=np.random.default_rng(config.seed),
    )
    if latest is None:
        return in_days

    def report(progress: Progress) -> None:
        if on_progress is not None:
            on_progress(replace(progress, stage=f"{progress.stage}, latest time"))

    # The relative ones first: they learn slowly from few, and would be given up as far behind.
    winner = _best(latest, [*relative, *in_days], config, timings, report).timescale
    return [winner] if winner in relative else in_days


def _best(
    validation: Validation,
    timescales: Sequence[Timescale],
    config: TrainingConfig,
    timings: Timings,
    on_progress: OnProgress | None,
) -> _Trial:
    best: _Trial | None = None
    for timescale in timescales:
        trial = _Trial.of(timescale, config.temperature, config)
        leader = -math.inf if best is None else best.value
        trial = _try(validation, trial, leader, config, timings, on_progress)
        best = trial if best is None or trial.value > leader else best
    assert best is not None  # noqa: S101 - there is a timescale to try
    return best


def _try(
    validation: Validation,
    trial: _Trial,
    leader: float,
    config: TrainingConfig,
    timings: Timings,
    on_progress: OnProgress | None,
) -> _Trial:
    """Train on the slice and stop early: at patience, or far behind the leader."""
    run = _Run(validation.train, trial, config, timings)
    suited = catalog_defaults(validation.train.n_items)
    patience = suited.patience if config.patience is None else config.patience
    best, limit = trial, trial.epochs
    scores: list[tuple[float, float]] = []
    for epoch in range(1, limit + 1):
        loss = run.epoch()
        model = run.result()
        scores.append(run.score(model, validation))
        _report(on_progress, _name(trial), epoch, limit, loss, scores[-1], timings)
        if sum(scores[-1]) > best.value:
            best = replace(trial, epochs=epoch, value=sum(scores[-1]), scores=scores, model=model)
        hopeless = epoch >= HOPELESS_EPOCHS and best.value < HOPELESS * leader
        if hopeless or epoch - best.epochs >= patience:
            break
    return best if config.epochs is None else replace(best, epochs=config.epochs)


class _Run:
    """One model being trained on one set of interactions."""

    def __init__(
        self,
        interactions: Interactions,
        trial: _Trial,
        config: TrainingConfig,
        timings: Timings,
    ) -> None:
        timescale = trial.timescale
        self._interactions, self._timescale, self._config = interactions, timescale, config
        self._temperature = trial.temperature
        self._timings = timings
        self._batches = self._steps = self._epochs = 0
        self._device = config.torch_device
        self._sampler = Sampler(
            interactions, timescale, config=config, generator=np.random.default_rng(config.seed)
        )
        suited = catalog_defaults(interactions.n_items)
        decay = config.learning_rate_decay
        self._rate_decay = suited.learning_rate_decay if decay is None else decay
        with timings.measure("initialise"):
            weights = interactions.history_weights(timescale.half_life_days)
            graph = Graph.of(interactions.matrix(weights), device=self._device)
            start = initial_embeddings(
                graph, config.dimension, seed=config.seed, power=suited.start_power
            )
        self._model = TwoTower(*start, graph, config.smoothing).to(self._device)
        self._optimizer = torch.optim.Adam(
            self._model.parameters(), lr=config.learning_rate, fused=True
        )

    def epoch(self) -> float:
        """Go once over all users; return the mean loss, in nats a target."""
        batches = self._sampler.epoch()
        count = len(self._sampler)
        size = max(1, -(-count // self._config.steps_per_epoch))
        sizes = [min(size, count - start) for start in range(0, count, size)]
        losses = [self._step(batches, size) for size in sizes]
        self._epochs += 1
        return float(np.average(losses, weights=sizes)) if sizes else math.nan

    def _step(self, batches: Iterator[Batch], count: int) -> float:
        """Take one step of the optimizer after `count` batches; return their mean loss."""
        measure, total = self._timings.measure, 0.0
        with measure("forward"):
            tables = self._model.tables()
        for _ in range(count):
            with measure("data"):
                batch = next(batches)
            with measure("forward"):
                loss = self._loss(tables, batch) / count
                total += loss.item()
            with measure("backward"):
                loss.backward()  # type: ignore[no-untyped-call]
        with measure("backward"):
            self._model.backward(tables)
            self._set_learning_rate(count)
            self._optimizer.step()
        return total

    def _set_learning_rate(self, count: int) -> None:
        # A step of several batches has a gradient of less noise, and goes further, up to a point.
        config = self._config
        self._batches += count
        self._steps += 1
        rate = config.learning_rate * min(math.sqrt(count), MOST_RATES)
        rate *= min(1.0, self._batches / max(config.warmup_batches, 1), self._steps / WARMUP_STEPS)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * self._rate_decay**self._epochs

    def _loss(self, tables: Tables, batch: Batch) -> Tensor:
        to = self._to
        users = tables.user_tower(
            to(batch.history_items), to(batch.history_weights), to(batch.history_offsets)
        )  # [B, D]
        items = tables.item_tower(to(batch.candidates))  # [N, D]
        return sampled_softmax(
            users,
            items,
            to(batch.target_rows),
            to(batch.target_columns),
            to(batch.target_weights),
            temperature=self._temperature,
            log_inclusion=None if batch.log_inclusion is None else to(batch.log_inclusion),
            masked_rows=to(batch.masked_rows),
            masked_columns=to(batch.masked_columns),
        )

    def _to(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self._device)

    def score(self, model: TrainedModel, validation: Validation) -> tuple[float, float]:
        """Compute recall@20 and ndcg@20 of a model as it would be served."""
        with self._timings.measure("validate"):
            users = tower_users(self._interactions, model, validation.users)
            return score(self._to(users), self._to(model.item_embeddings), validation)

    def result(self) -> TrainedModel:
        """Export the vectors as they are served."""
        tables = self._model.tables()
        seen = np.bincount(self._interactions.item, minlength=self._interactions.n_items) > 0
        with torch.no_grad():
            items = tables.item_tower().cpu().numpy()
            # Training divides by the mean weight: folded in here, SQL need not know it.
            history = (tables.history * self._sampler.history_scale).cpu().numpy()
        return TrainedModel(
            item_embeddings=unit_rows(items),
            history_embeddings=history * seen[:, None],
            learned=seen,
            timescale=self._timescale,
            temperature=self._temperature,
            config=self._config,
        )


def _name(trial: _Trial) -> str:
    scale = trial.timescale
    half_lives = f"{scale.half_life_days:g}/{scale.target_half_life_days:g}"
    return f"half-life {half_lives} days, temperature {trial.temperature:g}"


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
