import numpy as np
import pytest
import scipy.sparse as sp
import torch

from recs.learning import ranking
from recs.learning.ranking import best_columns, best_unseen, row_blocks


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_best_columns_are_those_of_a_full_sort_and_no_more_than_there_are(dtype: type) -> None:
    scores = np.random.default_rng(0).normal(size=(30, 12)).astype(dtype)
    scores[scores < -0.5] = -np.inf
    for k in (1, 5, 12, 40):
        found = best_columns(scores, k)
        assert found.shape == (30, min(k, 12))
        values = np.take_along_axis(scores, found, axis=1)
        np.testing.assert_array_equal(values, -np.sort(-scores, axis=1)[:, :k])


@pytest.mark.parametrize(
    ("rows", "columns", "sizes"),
    [(10, 30, [3, 3, 3, 1]), (4, 100, [1, 1, 1, 1]), (4, 500, [1] * 4), (3, 0, [3]), (0, 5, [])],
)
def test_blocks_hold_every_row_once_and_no_more_cells_than_they_may(
    rows: int, columns: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "CELLS", 100)
    blocks = [np.arange(rows)[block] for block in row_blocks(rows, columns)]
    assert [len(block) for block in blocks] == sizes
    np.testing.assert_array_equal(np.concatenate([*blocks, []]), np.arange(rows))


@pytest.mark.parametrize("barred", [[], [3, 7]])
def test_the_best_unseen_items_are_those_of_a_full_sort_without_what_a_user_has(
    barred: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "CELLS", 50)  # blocks of four users
    rng = np.random.default_rng(1)
    users, items = (rng.normal(size=(n, 3)).astype(np.float32) for n in (10, 12))
    seen = sp.csr_matrix(rng.random((10, 12)) < 0.4, dtype=np.float32)
    products = users @ items.T
    left = [
        [j for j in np.argsort(-products[u]) if not seen[u, j] and j not in barred]
        for u in range(10)
    ]
    for k in (1, 3, 40):
        found, scores = best_unseen(
            *map(torch.from_numpy, (users, items)), seen, k, barred=np.array(barred, np.int64)
        )
        assert found.shape == scores.shape == (10, min(k, 12))
        for u in range(10):
            listed = np.isfinite(scores[u])
            assert found[u][listed].tolist() == left[u][:k]
            np.testing.assert_allclose(scores[u][listed], products[u, left[u][:k]], rtol=1e-5)


def test_nobody_gets_an_empty_list_of_unseen_items() -> None:
    found, scores = best_unseen(torch.zeros(0, 3), torch.zeros(12, 3), sp.csr_matrix((0, 12)), 5)
    assert found.shape == scores.shape == (0, 5)
