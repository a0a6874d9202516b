"""How far new items are put forward: as far as old ones hardly notice."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from recs.learning.cold_items import find_neighbors
from recs.learning.interactions import Floats
from recs.learning.ranking import best_columns, best_unseen
from recs.learning.signals import Signals
from recs.learning.space import Space
from recs.learning.validation import K, Validation
from recs.metrics import recall_at_k

PRETENDED_NEW = 0.05
MOST_NEW = 5000  # pretended: each is compared with the whole catalog
BIASES = tuple(np.linspace(-0.2, 0.6, 33))  # below 0 where guesses score more than what is known
COST = 0.003  # of recall on old items, that new ones may take
USERS = 1000
ENOUGH_USERS = 30


def fit_new_item_bias(
    space: Space, signals: Signals, validation: Validation, content: Floats
) -> float:
    """Choose how far new items are put forward: as far as old ones lose .3 % of recall@20.

    A twentieth of the learned items, 5,000 at most, are placed by their content as if nobody had
    touched them, and compete for the lists of the validation slice's users, 1,000 at most. Where
    fewer than 30 of these have old items to find, or none is found, the default stays. At the least
    bias they may cost more.
    """
    assert space.blend is not None  # noqa: S101 - composed so
    known = np.flatnonzero(space.learned & content.any(axis=1))
    drawn = np.random.default_rng(0).permutation(known)
    new = np.sort(drawn[: min(MOST_NEW, int(PRETENDED_NEW * len(drawn)))])
    rest = np.setdiff1d(drawn, new)
    if not len(new):
        return space.blend.new_item_bias
    neighbors = find_neighbors(content[new], content[rest], signals.popularity[rest])
    neutral = replace(
        space,
        blend=replace(space.blend, new_item_bias=0.0),
        item_embeddings=space.item_embeddings[rest],
        seasonality=signals.seasonality[rest],
    )
    placed = neutral.place(neighbors)  # [N, F]
    old = _old_lists(space, validation, new)
    relevant = [items[~np.isin(items, new)] for items in old.relevant]
    before = recall_at_k(old.items, relevant, k=old.items.shape[1])
    if sum(map(bool, map(len, relevant))) < ENOUGH_USERS or not before > 0:
        return space.blend.new_item_bias
    fresh = old.users @ placed.T  # [V, N]
    fresh[old.seen_new] = -np.inf
    allowed = float(BIASES[0])
    for bias in BIASES:
        scores = fresh + old.users[:, [-1]] * np.float32(bias / space.scale)
        items = _merge(old, new, scores)
        if recall_at_k(items, relevant, k=items.shape[1]) < (1 - COST) * before:
            break
        allowed = float(bias)
    return allowed


@dataclass(frozen=True)
class _OldLists:
    users: Floats  # [V, F]
    items: NDArray[np.int64]  # [V, K]
    scores: Floats  # [V, K]
    seen_new: tuple[NDArray[np.int64], NDArray[np.int64]]  # rows and columns of the new items
    relevant: list[NDArray[np.int64]]


def _old_lists(space: Space, validation: Validation, new: NDArray[np.int64]) -> _OldLists:
    """List the K best items that are not `new` for some of the slice's users."""
    # Every so many of them: the first are the oldest accounts, where ids count up.
    chosen = slice(None, None, -(-len(validation.users) // USERS) or 1)
    users = space.pool(validation.train, validation.users[chosen]).embeddings
    seen = validation.seen()[chosen]
    items, scores = best_unseen(
        torch.from_numpy(users),
        torch.from_numpy(space.item_embeddings),
        seen,
        K,
        barred=np.union1d(new, np.flatnonzero(~space.learned)),
    )
    return _OldLists(
        users=users,
        items=items,
        scores=scores,
        seen_new=seen[:, new].nonzero(),
        relevant=validation.held_out[chosen],
    )


def _merge(old: _OldLists, new: NDArray[np.int64], scores: Floats) -> NDArray[np.int64]:
    """Merge the scores [V, N] of new items into the lists of old ones, [V, K]."""
    both = np.concatenate([old.scores, scores], axis=1)
    items = np.concatenate([old.items, np.broadcast_to(new, scores.shape)], axis=1)
    return np.take_along_axis(items, best_columns(both, old.items.shape[1]), axis=1)
