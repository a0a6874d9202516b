"""Timescale, temperature and number of epochs, tried on a held-out slice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from recs.learning.catalog_defaults import catalog_defaults
from recs.learning.config import TIMELESS, Timescale, TrainingConfig
from recs.learning.interactions import Interactions
from recs.learning.progress import OnProgress, Progress, Timings, report
from recs.learning.run import Run
from recs.learning.trained import TrainedModel
from recs.learning.validation import Validation, hold_out, split_latest

UNJUDGED_EPOCHS = 5  # where nobody can be held out: few, for so little data is soon overfitted
HOPELESS_EPOCHS = 6  # after so many, a trial that has not come
HOPELESS = 0.8  # of the way to the best one so far is given up
CLEARLY = 0.02  # better, for a second temperature to be taken: less is noise
SHORTEST = 1.0  # half-life of a history in days: by less, a user of last week is a stranger


@dataclass(frozen=True)
class Trial:
    """A setting, the number of epochs that was best for it, and what came of it.

    Args:
        value: recall@20 + ndcg@20 on the validation slice; -inf before it begins, nan if unjudged.
        scores: recall@20 and ndcg@20 after each epoch.
        model: of the slice's training part; None if unjudged.
    """

    timescale: Timescale
    temperature: float
    epochs: int
    value: float
    scores: list[tuple[float, float]]
    model: TrainedModel | None = None

    @staticmethod
    def of(timescale: Timescale, temperature: float, config: TrainingConfig) -> Trial:
        """Return one that has not begun."""
        limit = config.epochs or config.max_epochs
        return Trial(timescale, temperature, limit, -math.inf, [])


def choose_trial(
    interactions: Interactions,
    config: TrainingConfig,
    timings: Timings,
    on_progress: OnProgress | None,
) -> Trial:
    """Try each timescale on the validation slice, then a sharper temperature; keep the best."""
    timescales = _timescales(interactions, config, timings, on_progress)
    validation = hold_out(
        interactions,
        share=config.validation_share,
        max_users=config.validation_users,
        generator=np.random.default_rng(config.seed),
    )
    if not len(validation.users):
        epochs = config.epochs or UNJUDGED_EPOCHS
        return Trial(timescales[-1], config.temperature, epochs, math.nan, [])
    best = _best(validation, timescales, config, timings, on_progress)
    sharper = config.sharp_temperature < config.temperature
    if not (sharper and catalog_defaults(interactions.n_items).sharp):
        return best
    sharp = Trial.of(best.timescale, config.sharp_temperature, config)
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
        share=config.validation_share,
        max_users=config.validation_users,
        generator=np.random.default_rng(config.seed),
    )
    if latest is None:
        return in_days

    def tell(progress: Progress) -> None:
        if on_progress is not None:
            on_progress(replace(progress, stage=f"{progress.stage}, latest time"))

    # The relative ones first: they learn slowly from few, and would be given up as far behind.
    winner = _best(latest, [*relative, *in_days], config, timings, tell).timescale
    return [winner] if winner in relative else in_days


def _best(
    validation: Validation,
    timescales: Sequence[Timescale],
    config: TrainingConfig,
    timings: Timings,
    on_progress: OnProgress | None,
) -> Trial:
    best: Trial | None = None
    for timescale in timescales:
        trial = Trial.of(timescale, config.temperature, config)
        leader = -math.inf if best is None else best.value
        trial = _try(validation, trial, leader, config, timings, on_progress)
        best = trial if best is None or trial.value > leader else best
    assert best is not None  # noqa: S101 - there is a timescale to try
    return best


def _try(
    validation: Validation,
    trial: Trial,
    leader: float,
    config: TrainingConfig,
    timings: Timings,
    on_progress: OnProgress | None,
) -> Trial:
    """Train on the slice and stop early: at patience, or far behind the leader."""
    run = Run(validation.train, trial.timescale, trial.temperature, config, timings)
    suited = catalog_defaults(validation.train.n_items)
    patience = suited.patience if config.patience is None else config.patience
    best, limit = trial, trial.epochs
    scores: list[tuple[float, float]] = []
    for epoch in range(1, limit + 1):
        loss = run.epoch()
        model = run.result()
        scores.append(run.score(model, validation))
        report(on_progress, _name(trial), epoch, limit, loss, scores[-1], timings)
        if sum(scores[-1]) > best.value:
            best = replace(trial, epochs=epoch, value=sum(scores[-1]), scores=scores, model=model)
        hopeless = epoch >= HOPELESS_EPOCHS and best.value < HOPELESS * leader
        if hopeless or epoch - best.epochs >= patience:
            break
    return best if config.epochs is None else replace(best, epochs=config.epochs)


def _name(trial: Trial) -> str:
    scale = trial.timescale
    half_lives = f"{scale.half_life_days:g}/{scale.target_half_life_days:g}"
    return f"half-life {half_lives} days, temperature {trial.temperature:g}"
