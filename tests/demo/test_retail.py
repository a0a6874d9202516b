"""The real shop's reader cleans as a shop's owner would, and keeps what was sold."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recs.demo import retail
from recs.demo.shop import Shop
from recs.errors import BadInput

MAY = datetime(2011, 5, 1, 10, 0)
JUNE = datetime(2011, 6, 1, 10, 0)
LINES = [
    ("1", "85048", "GLASS BALL ", 12, MAY, 6.75, 7, "France"),
    ("1", "85048", "GLASS BALL ", 6, MAY, 6.75, 7, "France"),
    ("2", "85048", "GLASS  BALL", 1, JUNE, 9.0, 8, "Unspecified"),
    ("2", "85048", "OLD BALL", 1, JUNE, 6.75, 8, "Unspecified"),
    ("3", "22041", "RECORD FRAME", 2, JUNE, 2.0, 7, "Germany"),
    ("3", "22041", "RECORD FRAME", 2, JUNE, 2.0, 7, "Germany"),
    ("3", "21232", "STRAWBERRY POT", 2, JUNE, 1.25, 7, "Germany"),
    ("3", "POST", "POSTAGE", 1, JUNE, 18.0, 7, "Germany"),
    ("3", "21755", "FREE BLOCKS", 1, JUNE, 0.0, 7, "Germany"),
    ("4", "M", "Manual", 1, JUNE, 1.0, 9, "Italy"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    columns = zip(retail.COLUMNS, zip(*LINES, strict=True), strict=True)
    pq.write_table(
        pa.table({name: list(values) for name, values in columns}), tmp_path / retail.FILE
    )
    return tmp_path


@pytest.fixture
def shop(folder: Path) -> Shop:
    return retail.read_shop(folder)


def test_postage_adjustments_and_gifts_are_no_items(shop):
    assert shop.items["item_id"].to_pylist() == ["21232", "22041", "85048"]


def test_an_items_title_is_its_most_frequent_description_without_stray_spaces(shop):
    assert shop.items["title"].to_pylist() == ["STRAWBERRY POT", "RECORD FRAME", "GLASS BALL"]


def test_an_items_price_is_the_median(shop):
    assert shop.items["price"].to_pylist() == pytest.approx([1.25, 2.0, 6.75])


def test_a_users_segment_is_the_most_frequent_country_and_none_where_it_is_unspecified(shop):
    assert shop.users.to_pylist() == [
        {"user_id": "7", "segment": "Germany"},
        {"user_id": "8", "segment": None},
    ]


def test_an_item_is_bought_once_an_invoice(shop):
    bought = [(row["user_id"], row["item_id"]) for row in shop.interactions.to_pylist()]
    assert sorted(bought) == [("7", "21232"), ("7", "22041"), ("7", "85048"), ("8", "85048")]


def test_interactions_weigh_one_and_carry_their_time(shop):
    first = shop.interactions.to_pylist()[0]
    assert first["weight"] == 1
    assert first["occurred_at"] == MAY.replace(tzinfo=UTC)


def test_a_folder_without_the_file_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"(?s)no file purchases\.parquet in .*columns invoice"):
        retail.read_shop(tmp_path / "nowhere")


def test_a_missing_column_is_named(folder):
    table = pq.read_table(folder / retail.FILE).drop_columns(["price"])
    pq.write_table(table, folder / retail.FILE)
    with pytest.raises(BadInput, match="has no column price"):
        retail.read_shop(folder)
