"""What training leaves behind, and the arithmetic that SQL repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recs.learning.config import Timescale, TrainingConfig
from recs.learning.interactions import Floats, Interactions
from recs.learning.vectors import unit_rows


@dataclass(frozen=True)
class Course:
    """How a training went.

    Args:
        epochs: of the model that was trained on everything.
        losses: its mean loss in each.
        validation: recall@20 and ndcg@20 after each epoch of the trial that was best.
        seconds: by phase, of all trials together.
    """

    epochs: int = 0
    losses: Sequence[float] = ()
    validation: Sequence[tuple[float, float]] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def shares(self) -> Mapping[str, float]:
        """Compute each phase's share of the whole."""
        whole = sum(self.seconds.values()) or 1.0
        return {phase: seconds / whole for phase, seconds in self.seconds.items()}


@dataclass(frozen=True)
class TrainedModel:
    """Vectors of a catalog and of nobody.

    Args:
        item_embeddings: q, [I, D], unit norm.
        history_embeddings: p, [I, D]; a zero row for an item nobody has interacted with.
        learned: [I], false where nobody has interacted with an item: its q stands there by chance.
        timescale: the one chosen; its half_life_days is inf where time carries nothing.
        trial: the best model of the validation slice, which has not seen what was held out; None
            where nothing was held out. For a gate to judge.
        course: of the training.
    """

    item_embeddings: Floats
    history_embeddings: Floats
    learned: NDArray[np.bool_]
    timescale: Timescale
    temperature: float
    config: TrainingConfig
    trial: TrainedModel | None = None
    course: Course = field(default_factory=Course)

    @property
    def half_life_days(self) -> float:
        """How fast an interaction fades in a history."""
        return self.timescale.half_life_days


def tower_users(
    interactions: Interactions, model: TrainedModel, users: NDArray[np.int64] | None = None
) -> Floats:
    """Compute normalize(sum_i w_ui p_i) of `users`, or of all, from their distinct items, [U, D].

    w_ui = weight * 0.5 ** (max(0, trained_until - last_occurred_at) / half_life).
    """
    known = interactions if users is None else interactions.of_users(users)
    weights = known.histories(model.half_life_days)
    return unit_rows(np.asarray(weights @ model.history_embeddings, np.float32))
