"""The model: two towers without a user table, so that anyone's vector can be computed anywhere."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recs.learning.graph import Graph
from recs.learning.interactions import Floats


class Tables:
    """What the towers look up, P and Q [I, D], as of one step."""

    def __init__(self, history: Tensor, items: Tensor) -> None:
        self.history, self.items = history, items

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


class TwoTower(nn.Module):
    """Pool histories into users, look items up; both of unit norm, compared by inner product.

    Two tables, because what an item says of a user (P) is not whom it is for (Q), as in asymmetric
    SVD (Koren 2008); cosine over pooled histories as in SimpleX (Mao et al. 2021). Both are
    smoothed over the interaction graph, P <- P + a S P, inside training, as in LightGCN (He et al.
    2020): an item seen ten times learns from the items that it was seen with.
    """

    def __init__(
        self, history_embeddings: Floats, item_embeddings: Floats, graph: Graph, smoothing: float
    ) -> None:
        super().__init__()
        self.history = nn.Parameter(torch.from_numpy(history_embeddings.copy()))  # [I, D]
        self.items = nn.Parameter(torch.from_numpy(item_embeddings.copy()))  # [I, D]
        self._graph, self._smoothing = graph, smoothing

    def tables(self) -> Tables:
        """Compute P and Q; gradients gather there until `backward` takes them further.

        So a step multiplies by the graph once, however many batches it is made of.
        """
        return Tables(*(self._smooth(x.detach()).requires_grad_() for x in self.parameters()))

    def backward(self, tables: Tables) -> None:
        """Set the parameters' gradients from those of the tables: I + a S is symmetric."""
        for parameter, table in zip(self.parameters(), (tables.history, tables.items), strict=True):
            assert table.grad is not None  # noqa: S101 - a batch has histories and candidates
            parameter.grad = self._smooth(table.grad)

    def _smooth(self, vectors: Tensor) -> Tensor:
        if not self._smoothing:
            return vectors.clone()
        return vectors + self._smoothing * self._graph.smooth(vectors)
