"""One two-tower model being trained on one set of interactions."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from recs.learning.catalog_defaults import catalog_defaults
from recs.learning.config import Timescale, TrainingConfig
from recs.learning.graph import Graph, initial_embeddings
from recs.learning.interactions import Interactions
from recs.learning.losses import sampled_softmax
from recs.learning.model import Tables, TwoTower
from recs.learning.progress import Timings
from recs.learning.sampling import Batch, Sampler
from recs.learning.trained import TrainedModel, tower_users
from recs.learning.validation import Validation, score
from recs.learning.vectors import unit_rows

WARMUP_STEPS = 10  # at least, however many batches there are in one
MOST_RATES = 2.5  # times the learning rate, for a step of many batches


class Run:
    """A model, its optimizer and its batches."""

    def __init__(
        self,
        interactions: Interactions,
        timescale: Timescale,
        temperature: float,
        config: TrainingConfig,
        timings: Timings,
    ) -> None:
        self._interactions, self._timescale, self._config = interactions, timescale, config
        self._temperature = temperature
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
            items = self._to(model.item_embeddings)
            return score(self._to(users), items, validation, learned=model.learned)

    def result(self) -> TrainedModel:
        """Export the vectors as they are served."""
        tables = self._model.tables()
        seen = np.bincount(self._interactions.item, minlength=self._interactions.n_items) > 0
        with torch.no_grad():
            items = tables.item_tower().cpu().numpy()
            # Training divides weights by their mean. A user's direction is the same without.
            history = tables.history.cpu().numpy()
        return TrainedModel(
            item_embeddings=unit_rows(items),
            history_embeddings=history * seen[:, None],
            learned=seen,
            timescale=self._timescale,
            temperature=self._temperature,
            config=self._config,
        )
