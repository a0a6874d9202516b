"""How much each single term says of what an item goes with.

A rare word is not always a telling one: in a shop "christmas" gathers what is bought together and
"vanilla", "set" or the name of a print less than its rarity claims. Items that are known say which:
those terms count more that let the associations of an item be predicted from the others'.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.preprocessing import normalize

from recs.learning.cold_items import KRIGING_POWER, NOISE
from recs.learning.content import inverse_document_frequencies, term_weights
from recs.learning.interactions import Floats

ITEMS = 1000  # a step, of which each is predicted from all others
STEPS = 60
KEPT = 40  # of the last steps, whose mean is taken: one step sees too little to end on
RATE = 0.05
RIDGE = 1.0  # over the number of items
COMMON = 3  # items that must have a term for it to be judged
ENOUGH = 200  # items
SAMPLE = 20_000  # items that are looked at, at most


def fit_term_factors(
    frequencies: sp.csr_matrix, weights: Floats, item_vectors: Floats, *, seed: int = 0
) -> Floats:
    """Learn what to multiply `weights` by so that items are predicted best by what is like them.

    The factor of term t is exp(theta_t), and theta minimises

        mean_i |e_i|^2 / mean_i |y_i|^2 + sum_t theta_t^2 / I

    over I items, 20,000 at most. y_i = z_i / |z_i|^.5, and e_i is what is left of y_i when all
    items of a step but i predict it by kriging, as new items are placed (see
    `cold_items.find_neighbors`): with A = (K + .5 I)^-1 and K_ij = max(x_i . x_j, 0)^2 of unit rows
    x of weighted terms, e_i = (A y)_i / A_ii (Rasmussen and Williams 2006, eq. 5.12; relevance of
    each input as in section 5.1). The root keeps a few popular items from being all that counts,
    and still lets them count more. 60 steps of Adam, of 1000 items each, stop early on purpose;
    theta is the mean of the last 40 (Polyak and Juditsky 1992). Deterministic with the seed, up to
    rounding.

    Args:
        frequencies: [I, T], how often an item has a term.
        weights: what each term counts by its kind, [T].
        item_vectors: z [I, A], associations; rows of zeros are items that nobody has touched.

    Returns:
        Factors [T], 1 where fewer than 3 of the items that take part have a term, and everywhere
        where fewer than 200 items do.
    """
    factors = np.ones(frequencies.shape[1], np.float32)
    norms = np.linalg.norm(item_vectors, axis=1)
    takes_part = (norms > 0) & (frequencies @ (weights > 0).astype(np.float32) > 0)
    random = np.random.default_rng(seed)
    items = random.permutation(np.flatnonzero(takes_part))[:SAMPLE]
    if len(items) < ENOUGH:
        return factors
    terms = term_weights(
        sp.csr_matrix(frequencies[items]), inverse_document_frequencies(frequencies) * weights
    )
    terms.eliminate_zeros()
    judged = np.bincount(terms.indices, minlength=len(factors)) >= COMMON
    targets = torch.from_numpy(item_vectors[items] / np.sqrt(norms[items, None]))
    scale = targets.square().sum(dim=1).mean()
    theta, mean = torch.zeros(len(factors)), torch.zeros(len(factors))
    optimizer = torch.optim.Adam([theta], lr=RATE)
    for step in range(STEPS):
        some = random.permutation(len(items))[:ITEMS]
        weighted = terms[some].multiply(torch.exp(theta).numpy()[None, :])
        unit = normalize(sp.csr_matrix(weighted, dtype=np.float32))
        cosines = torch.from_numpy((unit @ unit.T).toarray()).requires_grad_()
        (by_cosines,) = torch.autograd.grad(_left(cosines, targets[some]) / scale, cosines)
        slope = _slope(unit, by_cosines.numpy()) * judged
        theta.grad = torch.from_numpy(slope) + 2 * RIDGE / len(items) * theta
        optimizer.step()
        if step >= STEPS - KEPT:
            mean += theta / KEPT
    return torch.exp(mean).numpy()


def _left(cosines: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Compute mean_i |e_i|^2 from x_i . x_j [n, n] and y [n, A]."""
    kernel = cosines.clamp_min(0) ** KRIGING_POWER
    inverse = torch.linalg.inv(kernel + NOISE * torch.eye(len(kernel)))
    errors = (inverse @ targets) / inverse.diagonal()[:, None]
    mean: torch.Tensor = errors.square().sum(dim=1).mean()
    return mean


def _slope(unit: sp.csr_matrix, slope: Floats) -> Floats:
    """Compute the slope by theta [T] from that by the cosines of rows x, G [n, n].

    With S = G + G', it is sum_i x_it (S x)_it - x_it^2 sum_s x_is (S x)_is: what a term does to
    the cosines, less what it does to the norm of its rows. Only where an item has a term is any of
    it not zero, so the terms are never laid out.
    """
    columns = np.unique(unit.indices)
    rows = sp.csr_matrix(unit[:, columns])
    pulled = rows.multiply((rows.T @ (slope + slope.T)).T).tocsr()
    norm = sp.diags(np.asarray(pulled.sum(axis=1)).ravel()) @ rows.multiply(rows)
    by_theta = np.zeros(unit.shape[1], np.float32)
    by_theta[columns] = np.asarray((pulled - norm).sum(axis=0)).ravel()
    return by_theta
