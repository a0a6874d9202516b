"""Scores written out slowly, one user and one item at a time; one user; signals of noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from recs.learning import TIMELESS, Space, TrainedModel, TrainingConfig
from recs.learning.associations import Associations, Fading
from recs.learning.blend import Blend
from recs.learning.interactions import Floats
from recs.learning.signals import Signals
from recs.learning.vectors import unit_rows

SMALLEST = 1e-6  # no |v| counts as less


def slow_scores(blend: Blend, signals: Signals, known: Mapping[int, float]) -> list[float]:
    """Score every item as Blend's docstring says for a user of `known`, weights by item."""
    tower, associations = signals.tower, signals.associations
    share = len(known) / (len(known) + blend.tower_support)
    share *= blend.tower_fading / (len(known) + blend.tower_fading)
    taste = direction(weighted_sum(tower.history_embeddings, known))
    sums = faded(weighted_sum(associations.history, known), len(known), associations)
    strength = max(float(np.sqrt(sums @ sums)), SMALLEST)
    scores = []
    for item in range(len(signals.popularity)):
        score = blend.tower_weight * share * float(taste @ tower.item_embeddings[item])
        score += float(direction(sums) @ associations.items[item])
        score += (
            blend.popularity_weight
            * 10
            / (len(known) + 10)
            / strength
            * float(signals.popularity[item])
        )
        scores.append(score)
    return scores


def faded(sums: np.ndarray, size: int, associations: Associations) -> np.ndarray:
    """Weigh the first coordinates of the sum of so many items, and the last ones."""
    fading, weighed = associations.fading, []
    for n, value in enumerate(sums):
        if n < fading.low_pass_dimension:
            weighed.append(value * fading.support / (size + fading.support))
        elif n >= len(sums) - fading.detail_dimension:
            weighed.append(value * size / (size + fading.support))
        else:
            weighed.append(value)
    return np.array(weighed)


def slow_list(scores: Sequence[float], seen: Sequence[int], *, k: int = 20) -> list[int]:
    """List the best k unseen items."""
    unseen = set(range(len(scores))) - set(seen)
    return sorted(unseen, key=lambda item: (-scores[item], item))[:k]


def user_of(space: Space, known: dict[int, float]) -> Floats:
    """Compute one user's vector, [F]."""
    history = weighted_sum(space.history_embeddings, known).astype(np.float32)
    return space.users(history[None, :], np.array([len(known)]))[0]


def weighted_sum(vectors: np.ndarray, known: Mapping[int, float]) -> np.ndarray:
    total = np.zeros(vectors.shape[1])
    for item, weight in known.items():
        total += weight * vectors[item].astype(np.float64)
    return total


def direction(vector: np.ndarray) -> np.ndarray:
    norm = float(np.sqrt(vector @ vector))
    return vector / norm if norm > 0 else vector


def noise(seed: int, *, n_items: int = 40, tower: int = 6, associations: int = 5) -> Signals:
    """Make signals that mean nothing, of an even spread of popularity."""
    generator = np.random.default_rng(seed)
    vectors = unit_rows(generator.normal(size=(n_items, tower)).astype(np.float32))
    items = unit_rows(generator.normal(size=(n_items, associations)).astype(np.float32))
    lengths = generator.uniform(0, 1, (n_items, 1)).astype(np.float32)
    return Signals(
        tower=TrainedModel(
            item_embeddings=vectors,
            history_embeddings=generator.normal(size=(n_items, tower)).astype(np.float32),
            learned=np.ones(n_items, np.bool_),
            timescale=TIMELESS,
            temperature=0.16,
            config=TrainingConfig(dimension=tower, association_dimension=associations),
        ),
        associations=Associations(
            generator.normal(size=(n_items, associations)).astype(np.float32),
            items * lengths,
            Fading(associations // 3, associations // 3, 4.0),
        ),
        popularity=(generator.permutation(n_items) / (n_items - 1)).astype(np.float32),
        seasonality=generator.uniform(0.5, 2, n_items).astype(np.float32),
    )
