"""What training can be told. The defaults were chosen on validation data of three shops."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch

from recs.arguments import seed_number


@dataclass(frozen=True)
class Timescale:
    """How fast interest fades.

    Args:
        half_life_days: of an interaction inside a history, served as `history_half_life`.
        target_half_life_days: of an interaction as something to predict. Short where fashion
            changes: what is bought now is what the model should put forward.
        later_from_earlier: predict a user's later items from the earlier ones, or else a random
            part of them from the rest.
        relative: both half-lives are in median ages of an interaction instead of days.
        association_factor: how many times slower associations fade than histories.
    """

    half_life_days: float = math.inf
    target_half_life_days: float = math.inf
    later_from_earlier: bool = False
    relative: bool = False
    association_factor: float = 1.0

    @property
    def association_half_life_days(self) -> float:
        """Return the half-life of an interaction as something to learn associations from."""
        return self.half_life_days * self.association_factor

    def absolute(self, median_age: float) -> Timescale:
        """Return it in days, where half of the interactions are older than `median_age` days."""
        if not self.relative:
            return self
        return replace(
            self,
            half_life_days=self.half_life_days * median_age,
            target_half_life_days=self.target_half_life_days * median_age,
            relative=False,
        )


TIMELESS = Timescale()
# Where users come, act in one sitting and are gone: what later ones want drifts, and within a
# sitting the order of items says nothing. How fast depends on the data, whose age says it roughly.
# Tried only there: of users who come back, a slice of the last weeks would choose it, and the
# months after it are served a tenth worse.
# What goes with what drifts less: of a quarter of the data too little is known for that.
DRIFT = Timescale(0.25, 0.25, relative=True, association_factor=4.0)
TIMESCALES = (
    Timescale(240.0, 30.0, later_from_earlier=True),
    DRIFT,
    Timescale(960.0, 240.0, later_from_earlier=True),
    TIMELESS,
)


@dataclass(frozen=True)
class TrainingConfig:
    """Defaults that carry small and large, timed and timeless data.

    Args:
        dimension: D of the two-tower model's vectors.
        association_dimension: unit that the dimensions of associations are measured in; how many
            units EASE and the low-pass filter have says catalog_defaults.
        temperature: logits are cosine / temperature.
        sharp_temperature: in large catalogs tried too, with the best timescale, and taken where it
            is clearly better.
        batch_size: users in a batch; less in small data, for ten steps an epoch.
        n_negatives: items drawn uniformly for a batch, beside the targets of its users.
        history_share: bounds of the uniform share of a user's items that is input; the rest are
            targets.
        learning_rate: of a step of one batch; of several, times the root of their number.
        learning_rate_decay: factor after each epoch; None takes what suits a catalog by its size.
        warmup_batches: over which the learning rate rises from 0. A shop that is learned in a
            hundred steps is overfitted by large ones; a large one does not notice.
        smoothing: strength a of P <- P + a S P over the graph, and of Q, at every step.
        steps_per_epoch: at most so many, each of several batches in large data: a step multiplies
            by the graph, so it costs as much as an epoch of it.
        timescales: tried on a validation slice where there are times; the best one stays. Relative
            ones only where users act in one sitting, see Interactions.in_sittings.
        epochs: how many; None finds the number on the validation slice, then trains on everything.
        patience: epochs without a better validation score before a trial stops; None the same.
        validation_share: of interactions held out in that slice.
        validation_users: at most so many users are scored.
        seed: from 0 to recs.arguments.LARGEST_SEED.
        device: as torch names it; "auto" takes a GPU if there is one.

    Raises:
        BadInput: of a seed that is none.
    """

    dimension: int = 128
    association_dimension: int = 128
    temperature: float = 0.12
    sharp_temperature: float = 0.08
    learning_rate: float = 0.004
    learning_rate_decay: float | None = None
    warmup_batches: int = 200
    batch_size: int = 512
    n_negatives: int = 1024
    history_share: tuple[float, float] = (0.3, 0.9)
    smoothing: float = 0.5
    steps_per_epoch: int = 15
    timescales: tuple[Timescale, ...] = field(default=TIMESCALES)
    epochs: int | None = None
    max_epochs: int = 30
    patience: int | None = None
    validation_share: float = 0.1
    validation_users: int = 5000
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        seed_number(self.seed)

    @property
    def torch_device(self) -> torch.device:
        """Return where to compute."""
        if self.device != "auto":
            return torch.device(self.device)
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
