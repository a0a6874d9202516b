"""The order in which interactions are copied."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recs.loading.sorting import order_by

pairs = st.lists(st.tuples(st.text(max_size=3), st.sampled_from(["", "a", "B", "é", "10", "9"])))


@given(pairs)
@pytest.mark.parametrize("names", [("user_id",), ("user_id", "item_id")])
def test_rows_are_ordered_bytewise_and_stably(
    names: tuple[str, ...], rows: list[tuple[str, str]]
) -> None:
    users, items = ([row[n] for row in rows] for n in (0, 1))
    columns = pa.RecordBatch.from_arrays(
        [pa.array(users, pa.string()), pa.array(items, pa.string())], ["user_id", "item_id"]
    )
    expected = pc.sort_indices(columns, sort_keys=[(name, "ascending") for name in names])
    assert order_by(columns, names).to_pylist() == expected.to_pylist()
