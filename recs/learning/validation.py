"""Interactions held out, to choose by and for the gate. Test data are never here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp
from torch import Tensor

from recs.learning.interactions import Interactions, Mask
from recs.learning.ranking import best_unseen
from recs.learning.sampling import Indices
from recs.metrics import ndcg_at_k, recall_at_k

K = 20
ENOUGH_USERS = 100
# Where users act in one sitting, the last of a sitting is much like the rest of it, and those few
# who come back later tell what is wanted next; a wider slice has more of them.
ENOUGH_IN_SITTINGS = 50
WIDER = (1, 2, 3)  # times the share, until so many users span the cut
NEWCOMER_ITEMS = 6  # one to know and five to find
NEWCOMER_SHARE = 0.1
NEWCOMERS = 500


@dataclass(frozen=True)
class Validation:
    """What to train on, and what its users did with the rest.

    users [V] have items in both; held_out is a list of V arrays of item indices. Newcomers [N] are
    users whom the training part knows nothing of, all the better to be replayed.
    """

    train: Interactions
    users: Indices
    held_out: list[Indices]
    newcomers: Indices = field(default_factory=lambda: np.zeros(0, np.int64))

    def seen(self) -> sp.csr_matrix:
        """Return ones where a user has an item in the training part, [V, I]."""
        known = self.train.of_users(self.users)
        return known.matrix(np.ones(len(known), np.float32))


def hold_out(
    interactions: Interactions, *, share: float, max_users: int, generator: np.random.Generator
) -> Validation:
    """Split off the latest share: of everybody's time if enough users span the cut, else of each
    user's own items; a random share of each user's items where there are no times.

    Of the users with six items or more, a tenth, 500 at most, are newcomers: drawn at random, since
    the newest ones have seen the newest items, which popularity knows least.
    """
    newcomers = _draw_newcomers(interactions, generator)
    if len(newcomers):
        regulars = interactions.select(~np.isin(interactions.user, newcomers))
        rest = _hold_out(regulars, share, max_users, generator)
        return replace(rest, newcomers=newcomers)
    return _hold_out(interactions, share, max_users, generator)


def _hold_out(
    interactions: Interactions, share: float, max_users: int, generator: np.random.Generator
) -> Validation:
    if interactions.has_times:
        latest = split_latest(interactions, share=share, max_users=max_users, generator=generator)
        if latest is not None:
            return latest
    held = _last_of_each_user(interactions, share, generator)
    return _split(interactions, held, max_users, generator, until=interactions.trained_until)


def split_latest(
    interactions: Interactions, *, share: float, max_users: int, generator: np.random.Generator
) -> Validation | None:
    """Split off that share of the latest time, or None if too few users span the cut.

    Where users act in one sitting fewer are enough, and up to three times the share is taken.
    """
    sittings = interactions.in_sittings
    enough = ENOUGH_IN_SITTINGS if sittings else ENOUGH_USERS
    for times in WIDER if sittings else WIDER[:1]:
        cut = float(np.quantile(interactions.first_occurred_at, max(0.0, 1 - times * share)))
        latest = split_at(interactions, cut=cut, max_users=max_users, generator=generator)
        if len(latest.users) >= enough:
            return latest
    return None


def split_at(
    interactions: Interactions, *, cut: float, max_users: int, generator: np.random.Generator
) -> Validation:
    """Split at a moment, in days: hold out the pairs that first occurred after it."""
    held = interactions.first_occurred_at > cut
    return _split(interactions, held, max_users, generator, until=cut)


def _draw_newcomers(interactions: Interactions, generator: np.random.Generator) -> Indices:
    enough = np.flatnonzero(interactions.lengths >= NEWCOMER_ITEMS)
    count = min(NEWCOMERS, int(NEWCOMER_SHARE * len(enough)))
    return np.sort(generator.permutation(enough)[:count])


def score(
    users: Tensor,
    item_embeddings: Tensor,
    validation: Validation,
    *,
    learned: Mask | None = None,
) -> tuple[float, float]:
    """Compute recall@20 and ndcg@20 over the catalog, items of the history left out.

    Args:
        users: vectors of validation.users, [V, D].
        learned: [I], items that have a vector to be served; all if left out.
    """
    barred = None if learned is None else np.flatnonzero(~learned)
    recommended, _ = best_unseen(users, item_embeddings, validation.seen(), K, barred=barred)
    k = recommended.shape[1]
    return (
        recall_at_k(recommended, validation.held_out, k=k),
        ndcg_at_k(recommended, validation.held_out, k=k),
    )


def _split(
    interactions: Interactions,
    held: Mask,
    max_users: int,
    generator: np.random.Generator,
    *,
    until: float,
) -> Validation:
    train = interactions.select(~held, until=until)
    out = interactions.select(held)
    # Only items that the rest knows: nothing else can be retrieved.
    known = np.bincount(train.item, minlength=train.n_items) > 0
    out = out.select(known[out.item])
    users = np.flatnonzero((train.lengths > 0) & (out.lengths > 0))
    users = np.sort(generator.permutation(users)[:max_users])
    held_out = [out.item[out.offsets[u] : out.offsets[u + 1]].astype(np.int64) for u in users]
    return Validation(train, users, held_out)


def _last_of_each_user(
    interactions: Interactions, share: float, generator: np.random.Generator
) -> Mask:
    """Mark the last items of each user, ties at random, one at least and never all."""
    draws = generator.random(len(interactions))
    order = np.lexsort((draws, interactions.first_occurred_at, interactions.user))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - interactions.offsets[:-1][interactions.user]
    lengths = interactions.lengths
    n_held = np.clip(np.rint(share * lengths), np.minimum(1, lengths - 1), lengths - 1)
    mask: Mask = rank >= (lengths - n_held)[interactions.user]
    return mask
