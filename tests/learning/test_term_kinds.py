"""What each kind of term counts, learned from who chose what."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from recs.learning.content import TermKind
from recs.learning.ease import fit_ease
from recs.learning.term_kinds import KindWeights, TermProducts, fit_kind_weights
from tests.learning.planted import N_GROUPS, planted

DATA = planted(predictability=0.9, n_users=500, n_items=600, length=20)
HISTORIES = DATA.matrix(DATA.weight)
ASSOCIATIONS = fit_ease(HISTORIES, dimension=32, ridge=30)
GROUPS = np.arange(600) * N_GROUPS // 600


REPEATS = 6


def telling(kind: TermKind) -> sp.csr_matrix:
    """Make terms of which one kind tells an item's group and the others mislead, [I, T].

    An item has one term that tells, and six of each other kind that say the same wrong thing.
    """
    generator = np.random.default_rng(0)
    blocks = []
    for one in TermKind:
        labels = GROUPS if one == kind else generator.permutation(GROUPS)
        marks = np.eye(N_GROUPS)[labels]
        rest = np.zeros_like(marks) if one == kind else marks
        blocks += [marks, *[rest] * (REPEATS - 1)]
    return sp.csr_matrix(np.hstack(blocks))


KINDS = np.repeat(np.array(list(TermKind), np.int8), REPEATS * N_GROUPS)


def fit(kind: TermKind, kinds: np.ndarray = KINDS) -> KindWeights:
    return fit_kind_weights(telling(kind), kinds, HISTORIES, ASSOCIATIONS)


def test_attributes_that_tell_what_is_chosen_count_more() -> None:
    assert fit(TermKind.ATTRIBUTE).attributes > KindWeights.attributes


def test_what_misleads_counts_less() -> None:
    fitted = fit(TermKind.WORD)
    assert fitted.attributes < KindWeights.attributes
    assert fitted.numbers < KindWeights.numbers
    kept = KINDS != TermKind.NUMBER
    without = fit_kind_weights(
        sp.csr_matrix(telling(TermKind.WORD)[:, kept]), KINDS[kept], HISTORIES, ASSOCIATIONS
    )
    assert without.attributes < KindWeights.attributes
    assert without.letters < KindWeights.letters
    assert without.numbers == KindWeights.numbers


def test_letters_that_tell_what_is_chosen_count_more() -> None:
    assert fit(TermKind.LETTERS).letters > KindWeights.letters


def test_numbers_that_tell_what_is_chosen_count_more() -> None:
    assert fit(TermKind.NUMBER).numbers > KindWeights.numbers


def test_where_all_kinds_say_the_same_the_defaults_stay() -> None:
    same = sp.csr_matrix(np.tile(np.eye(N_GROUPS)[GROUPS], len(TermKind) * REPEATS))
    assert fit_kind_weights(same, KINDS, HISTORIES, ASSOCIATIONS) == KindWeights()


def test_a_kind_that_no_term_is_of_keeps_its_default() -> None:
    words_and_letters = np.where(KINDS == TermKind.ATTRIBUTE, TermKind.WORD, KINDS).astype(np.int8)
    assert fit(TermKind.LETTERS, words_and_letters).attributes == KindWeights.attributes


@pytest.mark.parametrize("users", [0, 99])
def test_too_few_users_leave_the_defaults(users: int) -> None:
    few = fit_kind_weights(telling(TermKind.ATTRIBUTE), KINDS, HISTORIES[:users], ASSOCIATIONS)
    assert few == KindWeights()


def test_a_word_counts_one_and_the_others_what_they_were_given() -> None:
    weights = KindWeights(attributes=2, letters=0.25, numbers=4)
    kinds = [TermKind.LETTERS, TermKind.WORD, TermKind.ATTRIBUTE, TermKind.NUMBER]
    np.testing.assert_array_equal(weights.of(np.array(kinds, np.int8)), np.float32([0.25, 1, 2, 4]))


@given(
    seed=st.integers(0, 2**32 - 1),
    weights=st.builds(KindWeights, *[st.sampled_from([0.0, 0.25, 1.0, 4.0])] * 3),
)
def test_cosines_of_kinds_are_those_of_all_terms_weighted(seed: int, weights: KindWeights) -> None:
    generator = np.random.default_rng(seed)
    kinds = generator.integers(0, len(TermKind), 30).astype(np.int8)
    frequencies = sp.csr_matrix(generator.poisson(0.2, size=(12, 30)).astype(np.float32))
    found = TermProducts.of(frequencies[:5], frequencies[5:], kinds).cosines(weights)
    dense = frequencies.toarray() * weights.of(kinds)
    for row, one in enumerate(dense[:5]):
        for column, other in enumerate(dense[5:]):
            length = np.linalg.norm(one) * np.linalg.norm(other)
            expected = one @ other / length if length else 0.0
            assert found[row, column] == pytest.approx(expected, abs=1e-5)


def test_fitting_twice_gives_the_same_weights() -> None:
    assert fit(TermKind.ATTRIBUTE) == fit(TermKind.ATTRIBUTE)


@pytest.mark.parametrize(
    ("had", "described", "enough"), [(500, 600, True), (499, 600, False), (600, 499, False)]
)
def test_a_hundred_items_that_somebody_has_and_that_have_terms_are_enough(
    had: int, described: int, enough: bool
) -> None:
    histories, terms = HISTORIES.tolil(), telling(TermKind.ATTRIBUTE).tolil()
    histories[:, had:], terms[described:] = 0, 0
    found = fit_kind_weights(terms.tocsr(), KINDS, histories.tocsr(), ASSOCIATIONS)
    assert (found != KindWeights()) == enough


def test_who_has_nothing_besides_what_is_new_does_not_judge() -> None:
    lone = sp.csr_matrix((np.ones(600, np.float32), (np.arange(600), np.arange(600))))
    both = sp.vstack([HISTORIES[:80], lone], format="csr")
    assert fit_kind_weights(telling(TermKind.ATTRIBUTE), KINDS, both, ASSOCIATIONS) == KindWeights()
