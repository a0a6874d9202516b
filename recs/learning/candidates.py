"""What a blend chooses from: the best items by each signal, and every signal's score of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recs.learning.blend import Blend
from recs.learning.interactions import Floats
from recs.learning.ranking import best_columns, row_blocks
from recs.learning.signals import Signals
from recs.learning.situation import Situation
from recs.learning.vectors import unit_rows
from recs.metrics import hits_at_k, ndcg_of_hits, recall_of_hits

K = 20
EACH = 100  # taken from each signal

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Candidates:
    """The best items of a situation by each signal, [V, C], and each signal's score of them."""

    tower: Floats
    associations: Floats
    popularity: Floats
    strength: Floats  # |v|, where interactions weigh 1 in the mean, [V]
    support: NDArray[np.int32]
    hits: NDArray[np.bool_]  # [V, C], which of the items belong in the list
    sizes: NDArray[np.int64]  # [V], of all that belong there

    @staticmethod
    def of(situation: Situation, signals: Signals) -> Candidates:
        """Find the candidates of the users of a situation; what nobody has is none."""
        unknown = np.flatnonzero(~signals.tower.learned)
        known, barred = situation.known, situation.barred
        towers = unit_rows(np.asarray(known @ signals.tower.history_embeddings, np.float32))
        sums = signals.associations.sums(known)
        directions = unit_rows(sums)
        blocks = [
            _best(
                barred[block],
                towers[block] @ signals.tower.item_embeddings.T,
                directions[block] @ signals.associations.items.T,
                signals.popularity,
                unknown,
            )
            for block in row_blocks(*known.shape)
        ]
        items, tower, associations, popularity = (
            np.concatenate(parts) for parts in zip(*blocks, strict=True)
        )
        hits, sizes = hits_at_k(items, situation.relevant, k=items.shape[1])
        return Candidates(
            tower=tower,
            associations=associations,
            popularity=popularity,
            strength=(np.linalg.norm(sums, axis=1) / signals.mean_weight).astype(np.float32),
            support=situation.support,
            hits=hits,
            sizes=sizes,
        )

    def hits_of(self, blend: Blend) -> NDArray[np.bool_]:
        """Return which of the K best items by a blend are hits, [V, K]."""
        tower, prior = blend.weights(self.support)
        prior = np.asarray(prior / np.maximum(self.strength, 1e-6), np.float32)
        scores = (
            tower[:, None] * self.tower + self.associations + prior[:, None] * self.popularity
        )  # [V, C]
        return np.take_along_axis(self.hits, best_columns(scores, K), axis=1)

    def recall(self, blend: Blend) -> float:
        """Compute recall@20."""
        return recall_of_hits(self.hits_of(blend), self.sizes)

    def value(self, blend: Blend) -> float:
        """Compute recall@20 + ndcg@20."""
        hits = self.hits_of(blend)
        return recall_of_hits(hits, self.sizes) + ndcg_of_hits(hits, self.sizes, k=hits.shape[1])


def _best(
    barred: sp.csr_matrix,
    tower: Floats,
    associations: Floats,
    popularity: Floats,
    unknown: Indices,
) -> tuple[Indices, Floats, Floats, Floats]:
    """Find the EACH best items of each signal, and drop what another signal found too."""
    seen = barred.nonzero()
    sold = np.tile(popularity, (barred.shape[0], 1))
    for scores in (tower, associations, sold):
        scores[seen] = -np.inf
        scores[:, unknown] = -np.inf
    found_by = [best_columns(scores, EACH) for scores in (tower, associations, sold)]
    items = np.sort(np.concatenate(found_by, axis=1), axis=1)
    dropped = np.zeros(items.shape, np.bool_)
    dropped[:, 1:] = items[:, 1:] == items[:, :-1]
    found = [np.take_along_axis(scores, items, axis=1) for scores in (tower, associations, sold)]
    dropped |= np.isneginf(found[1])
    found[0][dropped], found[1][dropped], found[2][dropped] = 0, -np.inf, 0
    return items, found[0], found[1], found[2]
