"""The quality benchmark reads a folder of one's own as `recs load` does, or says what is wrong."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.quality import run, sets
from benchmarks.quality.campaign import Campaign
from benchmarks.quality.datasets import ItemContent
from recs.errors import BadInput


def write(folder, **files: str):
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def test_events_of_ones_own_are_read_in_time_order(tmp_path):
    write(
        tmp_path / "shop",
        interactions_csv="item_id,user_id,occurred_at\nb,2,2026-01-02\na,1,2026-01-01T12:00:00Z\n",
    )
    dataset = sets.read(tmp_path, "shop")
    assert dataset.has_time
    assert (dataset.user_keys, dataset.item_keys) == (("1", "2"), ("a", "b"))
    assert dataset.interactions.users.tolist() == [0, 1]
    assert dataset.interactions.items.tolist() == [0, 1]
    assert np.diff(dataset.interactions.days).tolist() == [0.5]
    assert dataset.contents == ()


def test_events_at_one_moment_stay_in_the_order_of_the_file(tmp_path):
    rows = "".join(f"u,i{number:03d},2026-01-01\n" for number in range(300, 0, -1))
    write(tmp_path / "shop", interactions_csv="user_id,item_id,occurred_at\n" + rows)
    items = sets.read(tmp_path, "shop").interactions.items
    assert items.tolist() == sorted(items.tolist(), reverse=True)


def test_events_without_a_time_are_undated(tmp_path):
    folder = write(tmp_path / "shop")
    pq.write_table(pa.table({"user_id": [7], "item_id": [8]}), folder / "interactions.parquet")
    dataset = sets.read(tmp_path, "shop")
    assert not dataset.has_time
    assert (dataset.user_keys, dataset.item_keys) == (("7",), ("8",))


def test_columns_of_items_that_no_field_takes_are_attributes(tmp_path):
    write(
        tmp_path / "shop",
        interactions_csv="user_id,item_id\nu,a\nu,b\n",
        items_jsonl='{"item_id": "b", "title": "Lamp", "description": "red", "colour": ["red"]}\n'
        '{"item_id": "never sold", "title": "x"}\n',
    )
    lamp = ItemContent(title="Lamp", description="red", attributes={"colour": ["red"]})
    assert sets.read(tmp_path, "shop").contents == (ItemContent(), lamp)


def test_a_row_that_cannot_be_loaded_stops_the_benchmark_with_its_line(tmp_path):
    write(tmp_path / "shop", interactions_csv="user_id,item_id\nu,a\n,b\n")
    with pytest.raises(BadInput, match=r"interactions\.csv, line 3: user_id is missing"):
        sets.read(tmp_path, "shop")


def test_a_published_split_may_lack_its_valid_part(tmp_path):
    write(tmp_path / "books", train_txt="0 0 1\n1 2\n", test_txt="0 2\n")
    dataset = sets.read(tmp_path, "books")
    assert set(dataset.parts) == {"train", "test"}
    assert (dataset.n_users, dataset.n_items, dataset.has_time) == (2, 3, False)


def test_a_folder_has_the_sets_that_can_be_read_the_named_ones_first(tmp_path):
    write(tmp_path / "a shop", interactions_csv="user_id,item_id\nu,a\n")
    write(tmp_path / "gowalla", train_txt="0 0\n", test_txt="0 1\n")
    write(tmp_path / "notes", readme_md="nothing to read\n")
    assert sets.found(tmp_path) == ["gowalla", "a shop"]


@pytest.mark.parametrize("options", [[], ["--sets", "shoe"]])
def test_the_command_says_what_it_found_where_a_set_is_missing(tmp_path, capsys, options):
    if options:
        write(tmp_path / "shop", interactions_csv="user_id,item_id\nu,a\n")
    with pytest.raises(SystemExit) as stopped:
        run.main(["--data", str(tmp_path), *options])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert ("'shoe'" in said and "shop" in said) if options else "expected subfolders" in said


def test_what_was_measured_on_other_files_of_the_same_name_does_not_count(tmp_path):
    for number, folder in enumerate(("monday", "tuesday")):
        rows = "".join(f"u{u},i{(u * 7 + i + number) % 40}\n" for u in range(60) for i in range(12))
        write(tmp_path / folder / "shop", interactions_csv="user_id,item_id\n" + rows)

    def results(folder: str, *, stored_only: bool):
        campaign = Campaign(
            data=tmp_path / folder,
            results=tmp_path / "cache",
            sets=("shop",),
            methods=("popularity",),
            stored_only=stored_only,
            report=lambda _: None,
        )
        return [result.reason for result in campaign.run()[1]]

    assert results("monday", stored_only=False) == [""]
    assert results("monday", stored_only=True) == [""]
    assert results("tuesday", stored_only=True) == ["not run yet"]
