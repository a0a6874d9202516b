"""Training: choose timescale and epochs on a held-out slice, then learn from everything."""

from __future__ import annotations

import math
from dataclasses import replace

from recs.learning.config import TrainingConfig
from recs.learning.interactions import Interactions
from recs.learning.progress import OnProgress, Timings, report
from recs.learning.run import Run
from recs.learning.trained import Course, TrainedModel
from recs.learning.trial import choose_trial


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
    best = choose_trial(interactions, config, timings, on_progress)
    run = Run(interactions, best.timescale, best.temperature, config, timings)
    losses = []
    for epoch in range(1, best.epochs + 1):
        losses.append(run.epoch())
        report(on_progress, "train", epoch, best.epochs, losses[-1], (math.nan, math.nan), timings)
    model = run.result()
    course = Course(best.epochs, losses, best.scores, dict(timings.seconds))
    return replace(model, course=course, trial=best.model)
