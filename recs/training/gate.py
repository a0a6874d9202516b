"""The gate: a model serves only if it beats popularity and the active model on held-out data.

What is judged is the trial that training made without the held-out slice; what is published has
learned from everything. Figures are recall@20 and ndcg@20, see recs.metrics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import torch

from recs.learning import Interactions, Space, TrainingConfig
from recs.learning.popularity import popularity
from recs.learning.validation import Validation, hold_out, score, split_at

# Fewer users than this tell nothing about which of two models is better.
ENOUGH_USERS = 30
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Figures:
    """recall@20 and ndcg@20, means over users."""

    recall: float
    ndcg: float

    @property
    def value(self) -> float:
        """What is compared: the sum, so that neither is bought with the other."""
        return self.recall + self.ndcg


@dataclass(frozen=True)
class Verdict:
    """What the gate found. `against_active` is None where there was nothing fair to compare."""

    users: int
    model: Figures | None
    popularity: Figures | None
    against_active: tuple[Figures, Figures] | None
    refusals: Sequence[str]
    notes: Sequence[str]

    @property
    def passed(self) -> bool:
        """Whether the model may serve."""
        return not self.refusals

    def document(self) -> dict[str, Any]:
        """Return the figures as they are stored with the model."""
        return {
            "users": self.users,
            **_named("", self.model),
            **_named("popularity_", self.popularity),
            **_named("candidate_since_active_", self.against_active and self.against_active[0]),
            **_named("active_", self.against_active and self.against_active[1]),
            "passed": self.passed,
            "refusals": list(self.refusals),
            "notes": list(self.notes),
        }


def judge(
    interactions: Interactions,
    trial: Space | None,
    active: Space | None,
    *,
    validation: Validation,
    active_until: float,
    held_back: bool = False,
) -> Verdict:
    """Compare a trial with popularity and with the active model.

    The trial has not seen the validation slice.

    The active model is compared on interactions that neither has seen: those after the trial's
    slice began and after `active_until` (days), with all histories folded in up to there. Where
    the newest interactions were `held_back` from learning, and the active model has learned them,
    the trial is refused: it was made to be looked at.
    """
    if trial is None:
        return Verdict(
            0, None, None, None, ["nothing could be held out, so nothing is known of the model"], []
        )
    own = score_space(trial, validation)
    fading = trial.popularity_half_life_days or trial.half_life_days
    best_sellers = _score_popularity(validation, fading)
    refusals, notes, pair = [], [], None
    if own.value <= best_sellers.value:
        refusals.append(
            f"recall@20 {own.recall:.4f} and ndcg@20 {own.ndcg:.4f} do not beat popularity's "
            f"{best_sellers.recall:.4f} and {best_sellers.ndcg:.4f}"
        )
    if held_back and active_until > interactions.trained_until:
        refusals.append(
            f"it has learned until {_date(interactions.trained_until)}, "
            f"the active model until {_date(active_until)}"
        )
    if active is not None:
        later = split_at(
            interactions,
            cut=max(validation.train.trained_until, active_until),
            max_users=len(validation.users),
            generator=np.random.default_rng(0),
        )
        if len(later.users) < ENOUGH_USERS:
            notes.append(
                f"not compared with the active model: {len(later.users)} users have interactions "
                f"that neither model has seen, expected {ENOUGH_USERS}"
            )
        else:
            pair = score_space(trial, later), score_space(active, later)
            if pair[0].value < pair[1].value:
                refusals.append(
                    f"recall@20 {pair[0].recall:.4f} and ndcg@20 {pair[0].ndcg:.4f} do not beat "
                    f"the active model's {pair[1].recall:.4f} and {pair[1].ndcg:.4f}"
                )
    return Verdict(len(validation.users), own, best_sellers, pair, refusals, notes)


def validation_of(interactions: Interactions, config: TrainingConfig) -> Validation:
    """Return the held-out slice that training chose by; the same seed, the same slice."""
    return hold_out(
        interactions,
        share=config.validation_share,
        max_users=config.validation_users,
        generator=np.random.default_rng(config.seed),
    )


def score_space(space: Space, validation: Validation) -> Figures:
    """Score what a space serves to the slice's users, from their interactions before it."""
    users = space.pool(validation.train, validation.users).embeddings
    items = torch.from_numpy(space.item_embeddings)
    return Figures(*score(torch.from_numpy(users), items, validation, learned=space.learned))


def _score_popularity(validation: Validation, half_life: float) -> Figures:
    """Score popularity as a model of one dimension."""
    sold = popularity(validation.train, half_life_days=half_life)
    ones = torch.ones(len(validation.users), 1)
    return Figures(*score(ones, torch.from_numpy(sold[:, None]), validation))


def _date(days: float) -> str:
    return f"{EPOCH + timedelta(days=days):%Y-%m-%d %H:%M}"


def _named(prefix: str, figures: Figures | None) -> Mapping[str, float]:
    if figures is None:
        return {}
    return {f"{prefix}{name}": value for name, value in asdict(figures).items()}
