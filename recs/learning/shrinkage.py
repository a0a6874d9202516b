"""How much the content of an item says of one that few have touched: as much as it has shown to.

What is learned of an item that five users have is mostly chance. What it is like says where such
items stand on average; how far to draw it there, the catalog itself tells: where items of many
users lie nearer to their likes than items of few, the difference is chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recs.learning.cold_items import neighbor_weights, place
from recs.learning.interactions import Floats
from recs.learning.vectors import unit_rows

SUPPORT = 60.0  # distinct users of an item at which its content counts half
COMPARED = 20_000  # items of most users, that likes are looked for among
ENOUGH = 100  # items for a regression


@dataclass(frozen=True)
class Draw:
    """Where the content of learned items would have them, and how far it draws each there.

    Args:
        means: m [I, D], unit rows; anything where nothing draws.
        share: l [I], of the way from q to m, 0 to 1.
    """

    means: Floats
    share: Floats

    def apply(self, embeddings: Floats, strength: float = 1.0) -> Floats:
        """Compute normalize((1 - s l_j) q_j + s l_j m_j) of unit vectors q [I, D], s the strength.

        What nothing draws stays as it is.
        """
        share = (strength * self.share)[:, None]
        drawn = unit_rows((1 - share) * embeddings + share * self.means)
        return np.where(share > 0, drawn, embeddings)


def fit_draw(embeddings: Floats, content: Floats, support: NDArray[np.integer]) -> Draw:
    """Find how learned unit vectors q [I, D] are drawn to those of items of like content.

    m_j is the direction of the mean of the nearest others by content [I, C], see cold_items,
    l_j = s 60 / (n_j + 60) and n_j are the item's distinct users, `support` [I]. s comes from the
    least squares fit 1 - q_j . m_j ~ a + b 60 / (n_j + 60): of what lies between an item of no
    users and its likes, the share s = b / (a + b) is gone when it has many. So this is empirical
    Bayes (Efron and Morris 1973) with a rate of its own. Items without users, or without likes,
    stay where they are.
    """
    draw = Draw(np.zeros_like(embeddings), np.zeros(len(embeddings), np.float32))
    known = np.flatnonzero((support > 0) & content.any(axis=1))
    if len(known) < ENOUGH:
        return draw
    compared = np.sort(known[np.argsort(-support[known], kind="stable")[:COMPARED]])
    weights = neighbor_weights(content[known], content[compared], own=(known, compared))
    means = unit_rows(place(weights, embeddings[compared]))
    share = SUPPORT / (support[known] + SUPPORT)
    distances = 1 - np.einsum("jd,jd->j", embeddings[known], means)
    alike = means.any(axis=1)
    draw.means[known] = means
    draw.share[known] = _share_of_chance(distances[alike], share[alike]) * share * alike
    return draw


def _share_of_chance(distances: NDArray[np.floating], share: NDArray[np.floating]) -> float:
    """Compute s; 0 where support explains nothing."""
    design = np.column_stack([np.ones_like(share), share])
    (apart, chance), _, rank, _ = np.linalg.lstsq(design, distances, rcond=None)
    if rank < 2 or chance <= 0:
        return 0.0
    return float(min(chance / max(apart + chance, 1e-12), 1.0))
