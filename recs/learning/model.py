"""The model: two towers without a user table, so that anyone's vector can be computed anywhere."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recs.learning.interactions import Floats


class TwoTower(nn.Module):
    """Pool histories into users, look items up; both of unit norm, compared by inner product.

    Two tables, because what an item says of a user (P) is not whom it is for (Q), as in asymmetric
    SVD (Koren 2008); cosine over pooled histories as in SimpleX (Mao et al. 2021).
    """

    def __init__(self, history_embeddings: Floats, item_embeddings: Floats) -> None:
        super().__init__()
        self.history = nn.Parameter(torch.from_numpy(history_embeddings.copy()))  # P [I, D]
        self.items = nn.Parameter(torch.from_numpy(item_embeddings.copy()))  # Q [I, D]

    def user_tower(self, items: Tensor, weights: Tensor, offsets: Tensor) -> Tensor:
        """Compute normalize(sum_i w_i p_i), [B, D].

        items [H] and weights [H] are the histories end to end; offsets [B] is where each starts.
        """
        sums = F.embedding_bag(
            items, self.history, offsets, mode="sum", per_sample_weights=weights
        )  # [B, D]
        return F.normalize(sums, dim=1)

    def item_tower(self, items: Tensor | None = None) -> Tensor:
        """Compute q = normalize(Q), of some items or of all, [N, D]."""
        return F.normalize(self.items if items is None else self.items[items], dim=1)
