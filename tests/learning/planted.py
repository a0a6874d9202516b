"""Made-up users with planted tastes: how predictable they are is one knob."""

from __future__ import annotations

import numpy as np

from recs.learning import Interactions, TrainingConfig
from recs.learning.interactions import Floats
from recs.learning.validation import Validation, hold_out
from recs.learning.vectors import unit_rows

N_GROUPS = 8
SIZE = 240 // N_GROUPS  # items of a group, of as many as `planted` makes
SMALL = TrainingConfig(
    dimension=16, association_dimension=32, max_epochs=2, patience=1, validation_users=100
)


def planted(
    *,
    predictability: float,
    n_users: int = 400,
    n_items: int = 240,
    length: int = 15,
    with_times: bool = False,
    seed: int = 0,
) -> Interactions:
    """Give each user one of 8 groups of items; an interaction is in it with this probability.

    With times, a user's interactions follow each other daily, and users start over two years.
    """
    generator = np.random.default_rng(seed)
    size = n_items // N_GROUPS
    users, items, days = [], [], []
    for user in range(n_users):
        group = user % N_GROUPS
        inside = generator.random(length) < predictability
        drawn = np.where(
            inside,
            group * size + generator.integers(0, size, length),
            generator.integers(0, n_items, length),
        )
        chosen = np.unique(drawn)
        users.append(np.full(len(chosen), user))
        items.append(generator.permutation(chosen))
        days.append(generator.uniform(0, 730) + np.arange(len(chosen)))
    return Interactions.from_pairs(
        np.concatenate(users).astype(np.int32),
        np.concatenate(items).astype(np.int32),
        n_users=n_users,
        n_items=n_items,
        last_occurred_at=np.concatenate(days) if with_times else None,
    )


def content_of(n_items: int = 240, *, blur: float = 0.3) -> Floats:
    """Make vectors that tell an item's group, the clearer the smaller the blur."""
    generator = np.random.default_rng(0)
    groups = np.eye(N_GROUPS)[np.arange(n_items) * N_GROUPS // n_items]
    return unit_rows((groups + blur * generator.normal(size=groups.shape)).astype(np.float32))


def held(data: Interactions, config: TrainingConfig = SMALL) -> Validation:
    """Hold out what `train` does."""
    return hold_out(
        data,
        share=config.validation_share,
        max_users=config.validation_users,
        generator=np.random.default_rng(config.seed),
    )
