import numpy as np
import pytest

from recs.learning import ranking
from recs.learning.ranking import best_columns, row_blocks


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
