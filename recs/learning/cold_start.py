"""The cold-start space: associations and popularity as unit vectors, one index scan a newcomer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from recs.learning.associations import Associations, fit_associations
from recs.learning.blend import BlendWeights, fit_blend
from recs.learning.interactions import Floats, Interactions
from recs.learning.popularity import automatic_half_life, popularity
from recs.learning.trained import TrainedModel, pool_history, unit_rows
from recs.learning.validation import K, Validation, top_items
from recs.metrics import ndcg_at_k, recall_at_k

SUPPORTS = (0, 2, 5, 10, 20)


@dataclass(frozen=True)
class ColdStart:
    """Vectors for users of whom little is known.

    Args:
        item_embeddings: [I, D + 2], unit rows, see `lift`.
        history_embeddings: (r, 0, 0), [I, D + 2].
        stranger_embedding: (0, kappa, 0), [D + 2]: nothing known, popularity alone.
        half_life_days: of the associations and of popularity.
        blend: kappa, and the curve it was chosen by.
        support: users with at most so many distinct items are served in this space.
    """

    item_embeddings: Floats
    history_embeddings: Floats
    stranger_embedding: Floats
    half_life_days: float
    blend: BlendWeights
    support: int


def fit_cold_start(
    interactions: Interactions, model: TrainedModel, validation: Validation | None
) -> ColdStart:
    """Fit associations, popularity and their blend, and find up to which support they are better.

    Deterministic with the seed of the model's configuration.
    """
    seed = model.config.seed
    half_life = automatic_half_life(interactions)
    blend = fit_blend(interactions, half_life_days=half_life, seed=seed)
    space = _space(interactions, half_life, blend, seed)
    support = SUPPORTS[-1]
    if validation is not None and model.trial is not None and len(validation.users):
        tried = _space(validation.train, half_life, blend, seed)
        support = _choose_support(tried, model.trial, validation)
    return ColdStart(*space, half_life_days=half_life, blend=blend, support=support)


def lift(associations: Associations, sold: Floats) -> Floats:
    """Compute (z, pop, sqrt(2 - |z|^2 - pop^2)) / sqrt(2), [I, D + 2].

    Unit rows whose inner product with (v, kappa, 0) orders items as v . z + kappa pop does: the
    last coordinate only fills up the norm (Bachrach et al. 2014). An HNSW index over inner
    products of unequal norms would find nothing.
    """
    known = np.column_stack([associations.items, sold])
    rest = np.sqrt(np.maximum(2 - np.square(known).sum(axis=1), 0))
    return unit_rows(np.column_stack([known, rest]).astype(np.float32))


def _space(
    interactions: Interactions, half_life: float, blend: BlendWeights, seed: int
) -> tuple[Floats, Floats, Floats]:
    weights = interactions.matrix(interactions.history_weights(half_life))
    associations = fit_associations(weights, seed=seed)
    items = lift(associations, popularity(interactions, half_life_days=half_life))
    history = np.pad(associations.history, ((0, 0), (0, 2)))
    stranger = np.zeros(items.shape[1], np.float32)
    stranger[-2] = blend.popularity_weight
    return items, history.astype(np.float32), stranger


def _choose_support(
    space: tuple[Floats, Floats, Floats], trial: TrainedModel, validation: Validation
) -> int:
    """Find the support up to which the validation users are served better in this space."""
    items, history, stranger = space
    train = validation.train
    weights = train.matrix(train.history_weights(automatic_half_life(train)))
    newcomers = unit_rows(stranger + np.asarray(weights @ history, np.float32))
    gains = _quality(newcomers, items, validation) - _quality(
        pool_history(train, trial).embeddings, trial.item_embeddings, validation
    )
    support = train.lengths[validation.users]
    totals = [float(gains[support <= most].sum()) for most in SUPPORTS]
    return SUPPORTS[int(np.argmax(totals))]


def _quality(users: Floats, items: Floats, validation: Validation) -> Floats:
    """Compute recall@20 + ndcg@20 of every validation user, [V]."""
    lists = top_items(
        torch.from_numpy(users[validation.users]), torch.from_numpy(items), validation
    )
    k = min(K, lists.shape[1])
    return np.array(
        [
            recall_at_k(row[None], [held], k=k) + ndcg_at_k(row[None], [held], k=k)
            for row, held in zip(lists, validation.held_out, strict=True)
        ],
        np.float32,
    )
