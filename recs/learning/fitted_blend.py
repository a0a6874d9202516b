"""The blend fitted to held-out users: its weights, and its curve by how much is known of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from recs.learning.blend import NEVER, Blend
from recs.learning.candidates import Candidates, K
from recs.learning.choice import nearest_good
from recs.learning.interactions import Floats, Interactions
from recs.learning.ranking import best_unseen
from recs.learning.signals import Signals
from recs.learning.situation import Situation, regulars, replay
from recs.learning.validation import Validation
from recs.learning.vectors import unit_rows
from recs.metrics import recall_at_k

TOWER_WEIGHTS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.2, 1.6, 3.2)  # and none
TOWER_SUPPORTS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
TOWER_FADINGS = (3.0, 10.0, 30.0, NEVER)
POPULARITY_WEIGHTS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
KNOWN_ITEMS = (1, 2, 3, 5, 10, 20)
ENOUGH_USERS = 30
WARM_USERS = 5000  # who judge a blend
FEW_USERS = 1000  # who judge signals that are made anew for every setting
# Weights that win by less of the verdict on the slice lose in the months after it.
TOLERANCE = 0.05
NEWCOMER_TOLERANCE = 0.03  # of a verdict on six situations, which is steadier
# Where nothing is dated, what is asked for later is like the slice. Weights that win by less of the
# verdict than this, over the root of the number of users, win by who is in it.
NOISE = 0.35


def fit_blend(
    interactions: Interactions,
    validation: Validation,
    signals: Signals,
    *,
    content: Floats | None = None,
    momentary: bool = False,
) -> Blend:
    """Choose the weights with the best recall@20 + ndcg@20 on users that the signals have not seen.

    Half of the verdict is that of the validation slice's users, half that of its newcomers, who are
    replayed with their first 1, 2, 3, 5, 10 and 20 items. Of the weights within 5 % of the best
    ones in the first and 3 % in the second, those nearest to the defaults are taken; where nothing
    is dated within less, .5 % if 5,000 users judge. Then, by the same rule, weights and fading of
    the two-tower model are chosen together. The signals are of the slice's training part. Where one
    half has under 30 users, the other decides; where both have, the defaults stay.

    Args:
        content: [I, C], for the curve.
        momentary: popularity is of the moment. The default weight is of another popularity, and
            newcomers, who are replayed from all times, have no say on it: of popularity, chosen
            after the two-tower's weights, the regulars' best weight is taken.
    """
    default = Blend.of_catalog(interactions.n_items, in_sittings=interactions.in_sittings)
    replayed = {n: replay(interactions, validation, n) for n in KNOWN_ITEMS}
    known = regulars(validation, signals.tower.half_life_days, most=WARM_USERS)
    enough = {n: users for n, users in replayed.items() if len(users.relevant) >= ENOUGH_USERS}
    newcomers = {n: Candidates.of(users, signals) for n, users in enough.items()}
    regular = Candidates.of(known, signals) if len(known.relevant) >= ENOUGH_USERS else None
    if regular is None and not newcomers:
        return default
    dated = interactions.has_times
    if momentary and regular is not None:
        towers = _choose(tower_blends(default), regular, newcomers, default, dated=dated)
        best = max(popularity_blends(towers), key=regular.value)
    else:
        best = _choose(_blends(default), regular, newcomers, default, dated=dated)
    chosen = replace(default, popularity_weight=best.popularity_weight)
    best = _choose(fading_blends(chosen), regular, newcomers, default, dated=dated)
    curve = {
        n: {"blend": candidates.recall(best), **_alone(enough[n], signals, content)}
        for n, candidates in newcomers.items()
    }
    return replace(best, curve=curve)


def noise(judges: int, *, dated: bool) -> float:
    """Return what share of the verdict of so many users says nothing of what is asked for later."""
    return TOLERANCE if dated else min(TOLERANCE, NOISE / math.sqrt(judges))


def best_value(
    validation: Validation, signals: Signals, blends: Sequence[Blend], *, users: int = FEW_USERS
) -> float | None:
    """Compute recall@20 + ndcg@20 of the slice's regular users, by the blend best for them.

    None where these users are under 30; of more than `users`, some judge.
    """
    situation = regulars(validation, signals.tower.half_life_days, most=users)
    if len(situation.relevant) < ENOUGH_USERS:
        return None
    candidates = Candidates.of(situation, signals)
    return max(candidates.value(blend) for blend in blends)


def popularity_blends(blend: Blend) -> list[Blend]:
    """Return it with each weight that popularity may have."""
    return [replace(blend, popularity_weight=weight) for weight in POPULARITY_WEIGHTS]


def tower_blends(default: Blend) -> list[Blend]:
    """Return it with each weight and support that the two-tower model may have."""
    silent = replace(default, tower_weight=0.0)
    return [
        silent,
        *(
            replace(default, tower_weight=weight, tower_support=support)
            for weight, support in product(TOWER_WEIGHTS, TOWER_SUPPORTS)
        ),
    ]


def fading_blends(default: Blend) -> list[Blend]:
    """Return it with each weight, support and fading that the two-tower model may have.

    Together, since a model that fades early is best at a greater weight.
    """
    return [
        replace(blend, tower_fading=items)
        for blend in tower_blends(default)
        for items in TOWER_FADINGS
    ]


def _blends(default: Blend) -> list[Blend]:
    """Return it with each combination of weights and support.

    One after the other would not do: the best weight of the two-tower model is another one where
    popularity weighs too much.
    """
    return [blend for towers in tower_blends(default) for blend in popularity_blends(towers)]


def _choose(
    blends: Sequence[Blend],
    regular: Candidates | None,
    newcomers: Mapping[int, Candidates],
    default: Blend,
    *,
    dated: bool,
) -> Blend:
    """Choose the blend nearest to the default among those that are about as good as the best.

    Values count as shares of the best one in their situation: a percent of the regulars' is worth
    a percent of the newcomers', however far from either the default is.
    """

    def shares(candidates: Candidates) -> NDArray[np.float64]:
        values = np.array([candidates.value(blend) for blend in blends])
        return np.asarray(values / max(values.max(), 1e-12))

    verdicts, tolerances = [], []
    if regular is not None:
        verdicts.append(shares(regular))
        tolerances.append(noise(len(regular.sizes), dated=dated))
    if newcomers:
        verdicts.append(np.mean([shares(users) for users in newcomers.values()], axis=0))
        judges = len(newcomers[min(newcomers)].sizes)
        tolerances.append(min(NEWCOMER_TOLERANCE, noise(judges, dated=dated)))
    return nearest_good(
        blends,
        np.stack(verdicts, axis=1),
        default,
        ("tower_weight", "tower_support", "popularity_weight", "tower_fading"),
        tolerance=np.array(tolerances),
    )


def _alone(situation: Situation, signals: Signals, content: Floats | None) -> Mapping[str, float]:
    """Compute the recall@20 of popularity and of content for the curve."""
    ones = np.ones((situation.known.shape[0], 1), np.float32)
    alone = {"popularity": (ones, signals.popularity[:, None])}
    if content is not None:
        profiles = unit_rows(np.asarray(situation.known @ content, np.float32))
        alone["content"] = (profiles, content)
    result = {}
    for name, (users, items) in alone.items():
        lists, _ = best_unseen(
            torch.from_numpy(users),
            torch.from_numpy(items),
            situation.barred,
            K,
            barred=np.flatnonzero(~signals.tower.learned),
        )
        result[name] = recall_at_k(lists, situation.relevant, k=lists.shape[1])
    return result
