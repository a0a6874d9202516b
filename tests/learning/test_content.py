"""The content encoder: what SQL repeats, term by term."""

import warnings

import numpy as np
import scipy.sparse as sp

from recs.learning.content import fit_encoder, inverse_document_frequencies, term_weights

# Items 0-3 are mugs, 4-7 are lamps; "red" and "blue" cross the kinds.
TERMS = ["mug", "tea", "lamp", "light", "red", "blue"]
FREQUENCIES = sp.csr_matrix(
    np.array(
        [
            [1, 2, 0, 0, 1, 0],
            [1, 1, 0, 0, 0, 1],
            [2, 1, 0, 0, 1, 0],
            [1, 1, 0, 0, 0, 0],
            [0, 0, 1, 1, 1, 0],
            [0, 0, 1, 3, 0, 1],
            [0, 0, 2, 1, 0, 0],
            [0, 0, 1, 1, 0, 1],
        ]
    )
)


def test_an_item_is_encoded_by_the_normalised_sum_of_its_weighted_term_vectors() -> None:
    encoder = fit_encoder(FREQUENCIES, dimension=3)
    item = FREQUENCIES[[0]].toarray()[0]
    total = sum(
        (1 + np.log(item[t])) * encoder.idf[t] * encoder.term_vectors[t]
        for t in np.flatnonzero(item)
    )
    expected = total / np.linalg.norm(total)
    np.testing.assert_allclose(encoder.encode(FREQUENCIES)[0], expected, atol=1e-6)


def test_a_rare_term_weighs_more_than_a_common_one() -> None:
    idf = inverse_document_frequencies(FREQUENCIES)
    np.testing.assert_allclose(idf[TERMS.index("mug")], np.log(9 / 5) + 1, rtol=1e-6)
    assert idf[TERMS.index("blue")] > idf[TERMS.index("mug")]


def test_content_vectors_have_norm_one_and_unknown_content_stays_zero() -> None:
    encoder = fit_encoder(FREQUENCIES, dimension=3)
    np.testing.assert_allclose(np.linalg.norm(encoder.encode(FREQUENCIES), axis=1), 1, atol=1e-5)
    assert not encoder.encode(sp.csr_matrix((1, 6))).any()


def test_items_of_a_kind_are_nearer_than_items_of_a_colour() -> None:
    content = fit_encoder(FREQUENCIES, dimension=3).encode(FREQUENCIES)
    assert content[0] @ content[1] > content[0] @ content[4]


def test_fitting_twice_gives_the_same_encoder() -> None:
    first, second = (fit_encoder(FREQUENCIES, dimension=3) for _ in range(2))
    np.testing.assert_array_equal(first.term_vectors, second.term_vectors)


def test_a_catalog_of_one_item_can_be_encoded() -> None:
    one = FREQUENCIES[[0]]
    np.testing.assert_allclose(np.linalg.norm(fit_encoder(one).encode(one), axis=1), 1, atol=1e-6)


def test_items_that_are_all_alike_are_encoded_without_a_warning() -> None:
    alike = sp.csr_matrix(np.ones((30, 7)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        content = fit_encoder(alike).encode(alike)
    np.testing.assert_allclose(content @ content.T, 1, atol=1e-5)


def test_term_vectors_are_what_tells_items_apart_that_count_alike_however_long_they_are() -> None:
    generator = np.random.default_rng(0)
    frequencies = generator.poisson(0.4, size=(30, 12))
    frequencies[:5] *= 9  # long texts
    counts = generator.uniform(0.5, 2, 12)
    encoder = fit_encoder(sp.csr_matrix(frequencies), counts.astype(np.float32), dimension=4)
    rows = np.zeros((30, 12))
    for item, term in zip(*frequencies.nonzero(), strict=True):
        idf = np.log(31 / (1 + np.count_nonzero(frequencies[:, term]))) + 1
        rows[item, term] = (1 + np.log(frequencies[item, term])) * idf * counts[term]
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    leading = np.linalg.svd(rows / np.maximum(lengths, 1e-9))[2][:4]
    found = encoder.term_vectors / counts[:, None]
    np.testing.assert_allclose(found @ found.T, leading.T @ leading, atol=1e-4)


def test_a_stored_zero_is_no_term_of_an_item() -> None:
    there = FREQUENCIES.tocoo()
    places = np.append(there.row, 3), np.append(there.col, 4)
    zeros = sp.csr_matrix((np.append(there.data, 0), places), FREQUENCIES.shape)
    assert zeros.nnz == FREQUENCIES.nnz + 1
    idf = inverse_document_frequencies(FREQUENCIES)
    np.testing.assert_array_equal(inverse_document_frequencies(zeros), idf)
    weights = term_weights(zeros, idf)
    np.testing.assert_array_equal(weights.toarray(), term_weights(FREQUENCIES, idf).toarray())
