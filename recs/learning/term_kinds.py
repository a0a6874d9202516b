"""How much each kind of term says of an item: words, attributes, letters, numbers.

In a shop whose titles name what a thing is, the letters of a title find spellings, plurals and
compounds that words miss. In a catalog of proper names they mislead, and a genre says more than
a title; a year may say most of all, or nothing. Nobody can know which it is before looking at who
chose what.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from recs.learning.associations import Associations
from recs.learning.choice import nearest_good
from recs.learning.cold_items import place, similarity_weights
from recs.learning.content import TermKind, inverse_document_frequencies, term_weights
from recs.learning.interactions import Floats
from recs.learning.ranking import best_columns
from recs.learning.vectors import unit_rows
from recs.metrics import ndcg_at_k, recall_at_k

PRETENDED_NEW = 0.2
ITEMS = 500  # pretended to be new, at most
COMPARED = 20_000  # others that they are compared with, at most
USERS = 1500
ENOUGH = 100  # users, and pretended items, for a verdict
TOLERANCE = 0.03  # of the verdict: less is noise, and the default stays
LEAST = 0.05  # nothing at all is as far from the default as a twentieth
RARE = 0.01  # a kind of so few terms an item is not worth trying
K = 20
NAMES = {
    TermKind.ATTRIBUTE: "attributes",
    TermKind.LETTERS: "letters",
    TermKind.NUMBER: "numbers",
}
GRIDS = {
    TermKind.ATTRIBUTE: (0.5, 1.0, 2.0, 4.0),
    TermKind.LETTERS: (0.0, 0.25, 0.5, 1.0),
    TermKind.NUMBER: (0.0, 0.5, 1.0, 2.0, 4.0),
}

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class KindWeights:
    """What a term counts by its kind, in units of a word of title or description."""

    attributes: float = 1.0
    letters: float = 0.5
    numbers: float = 1.0

    def of(self, kinds: NDArray[np.int8]) -> Floats:
        """Return the weight of each term, [T]."""
        table = np.zeros(len(TermKind), np.float32)
        table[TermKind.WORD] = 1
        table[TermKind.ATTRIBUTE] = self.attributes
        table[TermKind.LETTERS] = self.letters
        table[TermKind.NUMBER] = self.numbers
        return table[kinds]


def fit_kind_weights(
    frequencies: sp.csr_matrix,
    kinds: NDArray[np.int8],
    histories: sp.csr_matrix,
    associations: Associations,
) -> KindWeights:
    """Choose the weights that place items best, judged on items that are pretended to be new.

    A fifth of the items that users have, 500 at most, are placed by their terms among the others,
    20,000 at most. Users, known by their other items, rank them among each other; the verdict is
    recall@20 + ndcg@20. Weights that are not clearly better than the defaults leave those as they
    are.

    Args:
        frequencies: [I, T], how often an item has a term.
        kinds: [T], of TermKind.
        histories: [U, I], weights.
    """
    trial = _pretend(frequencies, kinds, histories, associations)
    if trial is None:
        return KindWeights()
    present = {
        name: GRIDS[kind]
        for kind, name in NAMES.items()
        if frequencies[:, kinds == kind].count_nonzero() > RARE * frequencies.shape[0]
    }
    candidates = [
        KindWeights(**dict(zip(present, values, strict=True)))
        for values in product(*present.values())
    ]
    verdicts = np.array([[trial.value(one)] for one in candidates])
    return nearest_good(
        candidates,
        verdicts,
        KindWeights(),
        tuple(present),
        tolerance=TOLERANCE,
        least=LEAST,
    )


@dataclass(frozen=True)
class TermProducts:
    """Inner products of the terms of some items and of others, those of each kind by themselves.

    A weight multiplies all terms of a kind, so they need not be multiplied anew for every weight.
    """

    products: Floats  # [kinds, N, R]
    squares: Floats  # of the terms of the some, [kinds, N]
    other_squares: Floats  # and of the others, [kinds, R]

    @staticmethod
    def of(terms: sp.csr_matrix, others: sp.csr_matrix, kinds: NDArray[np.int8]) -> TermProducts:
        """Multiply terms [N, T] and [R, T]."""
        pairs = [(terms[:, kinds == kind], others[:, kinds == kind]) for kind in TermKind]
        return TermProducts(
            np.stack([(some @ other.T).toarray() for some, other in pairs]).astype(np.float32),
            np.stack([_squares(some) for some, _ in pairs]),
            np.stack([_squares(other) for _, other in pairs]),
        )

    def cosines(self, weights: KindWeights) -> Floats:
        """Compute the cosines of all pairs, [N, R]; 0 where an item has no terms that count."""
        shares = weights.of(np.array(list(TermKind), np.int8)) ** 2  # [kinds]
        norms = np.sqrt(np.outer(shares @ self.squares, shares @ self.other_squares))
        products = np.tensordot(shares, self.products, axes=1)
        return np.divide(products, norms, out=np.zeros_like(products), where=norms > 0)


def _squares(terms: sp.csr_matrix) -> Floats:
    return np.asarray(terms.multiply(terms).sum(axis=1), np.float32).ravel()


@dataclass(frozen=True)
class _Trial:
    """Items that are pretended to be new, N, others, R, and what users want of the new ones."""

    products: TermProducts
    item_vectors: Floats  # of the others, [R, A]
    users: Floats  # [V, A]
    relevant: list[Indices]  # V arrays of new items

    def value(self, weights: KindWeights) -> float:
        """Compute recall@20 + ndcg@20 of the new items, placed by their terms."""
        placed = place(similarity_weights(self.products.cosines(weights)), self.item_vectors)
        lists = best_columns(self.users @ placed.T, K)
        k = lists.shape[1]
        return recall_at_k(lists, self.relevant, k=k) + ndcg_at_k(lists, self.relevant, k=k)


def _pretend(
    frequencies: sp.csr_matrix,
    kinds: NDArray[np.int8],
    histories: sp.csr_matrix,
    associations: Associations,
) -> _Trial | None:
    random = np.random.default_rng(0)
    touched = np.asarray((histories > 0).sum(axis=0)).ravel() > 0
    known = random.permutation(np.flatnonzero(touched & (np.diff(frequencies.indptr) > 0)))
    n_new = min(ITEMS, int(PRETENDED_NEW * len(known)))
    new, rest = np.sort(known[:n_new]), np.sort(known[n_new:][:COMPARED])
    wanted = sp.csr_matrix(histories[:, new])
    kept = np.ones(histories.shape[1])
    kept[new] = 0
    others = sp.csr_matrix(histories @ sp.diags(kept))
    others.eliminate_zeros()
    users = np.flatnonzero((np.diff(wanted.indptr) > 0) & (np.diff(others.indptr) > 0))
    if min(len(users), len(new)) < ENOUGH:
        return None
    users = np.sort(random.permutation(users)[:USERS])
    idf = inverse_document_frequencies(frequencies)
    return _Trial(
        products=TermProducts.of(
            term_weights(sp.csr_matrix(frequencies[new]), idf),
            term_weights(sp.csr_matrix(frequencies[rest]), idf),
            kinds,
        ),
        item_vectors=associations.items[rest],
        users=unit_rows(associations.sums(sp.csr_matrix(others[users]))),
        relevant=[
            wanted.indices[wanted.indptr[user] : wanted.indptr[user + 1]].astype(np.int64)
            for user in users.tolist()
        ],
    )
