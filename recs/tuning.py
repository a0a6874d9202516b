"""Settings for one shop, found by trying: `recs tune`.

The defaults are meant to do; this tells whether others do better, on data that no trial has seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import optuna
from sqlalchemy import Engine

from recs.errors import BadInput, NothingToLearn
from recs.learning import Interactions, TrainingConfig, fit_space, signals_of, train
from recs.learning.validation import Validation, hold_out
from recs.training import gate, reading

SEARCHED = (
    "temperature",
    "learning_rate",
    "smoothing",
    "dimension",
    "association_dimension",
)
ENOUGH_FOR_IMPORTANCE = 8
LEAST_DIFFERENCE = 1e-6  # between recall@20 + ndcg@20 of trials

OnTrial = Callable[["TuningTrial", int], None]


@dataclass(frozen=True)
class TuningTrial:
    """One training: its settings and recall@20 and ndcg@20 of its vectors on held-out data."""

    number: int
    parameters: Mapping[str, Any]
    recall: float
    ndcg: float
    seconds: float

    @property
    def value(self) -> float:
        """What is maximised."""
        return self.recall + self.ndcg


@dataclass(frozen=True)
class TuningReport:
    """All trials; the first one is that of the defaults.

    Args:
        importances: share of the differences between trials that a setting explains (fANOVA, Hutter
            et al. 2014); empty after fewer than eight trials, or where all are equal.
        interrupted: it was ended by KeyboardInterrupt, and these are the trials done by then.
    """

    users: int
    trials: list[TuningTrial]
    importances: Mapping[str, float]
    interrupted: bool = False

    @property
    def best(self) -> TuningTrial:
        """The trial with the highest recall@20 + ndcg@20."""
        return max(self.trials, key=lambda trial: trial.value)

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "users": self.users,
            "best": asdict(self.best),
            "default": asdict(self.trials[0]),
            "trials": [asdict(trial) for trial in self.trials],
            "importances": dict(self.importances),
            "interrupted": self.interrupted,
        }


def tune(
    engine: Engine,
    *,
    trials: int = 20,
    timeout: float | None = None,
    seed: int = 0,
    device: str = "auto",
    on_trial: OnTrial | None = None,
) -> TuningReport:
    """Search for settings that recommend better than the defaults; write nothing.

    Each trial is a whole training on everything but a validation slice, and is scored on that
    slice; what training itself chooses by, it holds out inside. The best of many trials is better
    on the slice than it will be in service: a gain of a few percent may be none.
    KeyboardInterrupt ends the search; what was found by then is returned, if there is any.

    Args:
        timeout: seconds, above 0, after which no further trial is begun; the first always is.
        device: where to compute, as in TrainingConfig.

    Raises:
        NothingToLearn: there is nothing to hold out.
        BadInput: trials or timeout is not positive, or a seed that TrainingConfig refuses.
    """
    if trials < 1:
        raise BadInput(f"trials is {trials}, expected 1 or more")
    if timeout is not None and not timeout > 0:
        raise BadInput(f"timeout is {timeout:g} s, expected more than 0, or none")
    defaults = TrainingConfig(seed=seed, device=device)
    interactions = _read(engine)
    validation = hold_out(
        interactions,
        share=defaults.validation_share,
        max_users=defaults.validation_users,
        generator=np.random.default_rng(seed + 1),
    )
    if not len(validation.users):
        raise NothingToLearn(
            "no user has items to hold out", hint="load more interactions: recs load interactions"
        )
    _check(validation.train, "no user has two different items beside those that are held out")
    done: list[TuningTrial] = []

    def run(trial: optuna.Trial) -> float:
        start = time.perf_counter()
        config = replace(defaults, **_suggest(trial))
        found = _score(config, validation)
        seconds = time.perf_counter() - start
        done.append(
            TuningTrial(trial.number, dict(trial.params), found.recall, found.ndcg, seconds)
        )
        if on_trial is not None:
            on_trial(done[-1], trials)
        return done[-1].value

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    began, interrupted = time.perf_counter(), False
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({name: getattr(defaults, name) for name in SEARCHED})
    try:
        while len(done) < trials:
            trial = study.ask()
            study.tell(trial, run(trial))
            if timeout is not None and time.perf_counter() - began > timeout:
                break
    except KeyboardInterrupt:
        if not done:
            raise
        interrupted = True
    return TuningReport(len(validation.users), done, _importances(study, seed), interrupted)


def _suggest(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "temperature": trial.suggest_float("temperature", 0.05, 0.3, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.001, 0.016, log=True),
        "smoothing": trial.suggest_float("smoothing", 0.0, 1.0),
        "dimension": trial.suggest_categorical("dimension", [64, 128, 256]),
        "association_dimension": trial.suggest_categorical("association_dimension", [64, 128, 256]),
    }


def _score(config: TrainingConfig, validation: Validation) -> gate.Figures:
    model = train(validation.train, config=config)
    inner = gate.validation_of(validation.train, config)
    space, _ = fit_space(validation.train, signals_of(validation.train, model), inner)
    return gate.score_space(space, validation)


def _importances(study: optuna.Study, seed: int) -> Mapping[str, float]:
    values = [trial.value for trial in study.get_trials(deepcopy=False) if trial.value is not None]
    # fANOVA fails where its trees find nothing to split by
    if len(values) < ENOUGH_FOR_IMPORTANCE or max(values) - min(values) < LEAST_DIFFERENCE:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    found: Mapping[str, float] = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return found


def _read(engine: Engine) -> Interactions:
    interactions = reading.read(engine).interactions
    _check(interactions, "no user has interacted with two different items")
    return interactions


def _check(interactions: Interactions, otherwise: str) -> None:
    if not (interactions.lengths >= 2).any():
        raise NothingToLearn(otherwise, hint="load more interactions: recs load interactions")
