"""Losses, as pure functions of tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

MASKED = -1e9


def sampled_softmax(
    user_embeddings: Tensor,  # [B, D]
    item_embeddings: Tensor,  # [N, D], the candidates
    target_rows: Tensor,  # [T], in [0, B)
    target_columns: Tensor,  # [T], in [0, N)
    target_weights: Tensor,  # [T]
    *,
    temperature: float,
    log_inclusion: Tensor | None = None,  # [N]
    masked_rows: Tensor | None = None,  # [M]
    masked_columns: Tensor | None = None,  # [M]
) -> Tensor:
    """Compute sum_t w_t (log Z_u - l_ut), with l = u . q / temperature.

    Z_u = sum over candidates j of exp(l_uj) / pi_j, where pi_j is the probability that j is among
    the candidates: an unbiased estimate of the sum over the catalog, the logQ correction of Yi et
    al. 2019 for candidates without repetition. A user's own targets are always candidates, so their
    pi is 1. Masked pairs (the items of the input, never recommended again) are left out of Z.
    """
    empty = torch.empty(0, dtype=torch.long, device=user_embeddings.device)
    loss: Tensor = _SampledSoftmax.apply(  # type: ignore[no-untyped-call]
        user_embeddings,
        item_embeddings,
        target_rows,
        target_columns,
        target_weights,
        temperature,
        log_inclusion,
        empty if masked_rows is None else masked_rows,
        empty if masked_columns is None else masked_columns,
    )
    return loss


class _SampledSoftmax(torch.autograd.Function):
    # The gradient of a softmax is known in closed form: computed in place here, it takes one
    # [B, N] buffer and three matrix products, a third of what autograd takes.

    @staticmethod
    def forward(
        ctx: Any,
        users: Tensor,
        items: Tensor,
        rows: Tensor,
        columns: Tensor,
        weights: Tensor,
        temperature: float,
        log_inclusion: Tensor | None,
        masked_rows: Tensor,
        masked_columns: Tensor,
    ) -> Tensor:
        logits = (users / temperature) @ items.T  # [B, N]
        positives = logits[rows, columns]  # [T]
        if log_inclusion is not None:
            logits -= log_inclusion
            logits[rows, columns] = positives
        logits[masked_rows, masked_columns] = MASKED
        highest = logits.amax(dim=1)
        exponentials = logits.sub_(highest[:, None]).exp_()  # [B, N], the same buffer
        totals = exponentials.sum(dim=1)
        loss = (weights * ((totals.log() + highest)[rows] - positives)).sum()
        mass = torch.zeros_like(totals).index_add_(0, rows, weights)
        gradient = exponentials.mul_((mass / totals)[:, None])
        gradient.index_put_((rows, columns), -weights, accumulate=True)
        ctx.save_for_backward(gradient @ items / temperature, gradient.T @ users / temperature)
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        users, items = ctx.saved_tensors
        return gradient * users, gradient * items, *(None,) * 7
