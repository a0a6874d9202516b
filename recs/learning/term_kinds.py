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
from recs.learning.cold_items import neighbor_weights
from recs.learning.content import TermKind, inverse_document_frequencies, unit_term_weights
from recs.learning.interactions import Floats
from recs.learning.trained import unit_rows
from recs.metrics import ndcg_at_k, recall_at_k

PRETENDED_NEW = 0.2
ITEMS = 500  # pretended to be new, at most
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

    A fifth of the items that users have, 500 at most, are placed by their terms among the others.
    Users, known by their other items, rank them among each other; the verdict is recall@20 +
    ndcg@20. Weights that are not clearly better than the defaults leave those as they are.

    Args:
        frequencies: [I, T], how often an item has a term.
        kinds: [T], of TermKind.
        histories: [U, I], weights.
    """
    trial = _pretend(frequencies, histories, associations)
    if trial is None:
        return KindWeights()
    idf = inverse_document_frequencies(frequencies)
    present = {
        name: GRIDS[kind]
        for kind, name in NAMES.items()
        if frequencies[:, kinds == kind].count_nonzero() > RARE * frequencies.shape[0]
    }
    candidates = [
        KindWeights(**dict(zip(present, values, strict=True)))
        for values in product(*present.values())
    ]
    verdicts = np.array([trial.value(frequencies, idf * one.of(kinds)) for one in candidates])
    return nearest_good(
        candidates,
        verdicts,
        KindWeights(),
        tuple(present),
        tolerance=TOLERANCE,
        least=LEAST,
    )


@dataclass(frozen=True)
class _Trial:
    """Items that are pretended to be `new`, the `rest`, and what users want of the new ones."""

    new: Indices
    rest: Indices
    item_vectors: Floats  # [rest, A]
    users: Floats  # [V, A]
    relevant: list[Indices]  # V arrays of places in `new`

    def value(self, frequencies: sp.csr_matrix, term_weights: Floats) -> float:
        """Compute recall@20 + ndcg@20 of the new items, placed by their terms."""
        content = unit_term_weights(frequencies, term_weights)
        weights = neighbor_weights(content[self.new], content[self.rest])
        scores = self.users @ np.asarray(weights @ self.item_vectors, np.float32).T  # [V, N]
        k = min(K, len(self.new))
        lists = np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int64)
        return recall_at_k(lists, self.relevant, k=k) + ndcg_at_k(lists, self.relevant, k=k)


def _pretend(
    frequencies: sp.csr_matrix, histories: sp.csr_matrix, associations: Associations
) -> _Trial | None:
    random = np.random.default_rng(0)
    touched = np.asarray((histories > 0).sum(axis=0)).ravel() > 0
    known = random.permutation(np.flatnonzero(touched & (np.diff(frequencies.indptr) > 0)))
    new = np.sort(known[: min(ITEMS, int(PRETENDED_NEW * len(known)))])
    wanted = sp.csr_matrix(histories[:, new])
    kept = np.ones(histories.shape[1])
    kept[new] = 0
    others = sp.csr_matrix(histories @ sp.diags(kept))
    others.eliminate_zeros()
    users = np.flatnonzero((np.diff(wanted.indptr) > 0) & (np.diff(others.indptr) > 0))
    if min(len(users), len(new)) < ENOUGH:
        return None
    users = np.sort(random.permutation(users)[:USERS])
    rest = np.setdiff1d(known, new)
    return _Trial(
        new=new,
        rest=rest,
        item_vectors=associations.items[rest],
        users=unit_rows(associations.sums(sp.csr_matrix(others[users]))),
        relevant=[
            wanted.indices[wanted.indptr[user] : wanted.indptr[user + 1]].astype(np.int64)
            for user in users.tolist()
        ],
    )
