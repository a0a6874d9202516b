"""Made-up users with planted tastes: how predictable they are is one knob."""

from __future__ import annotations

import numpy as np

from recs.learning import Interactions

N_GROUPS = 8


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
