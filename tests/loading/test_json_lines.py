"""JSON Lines: keys wherever they first come, and values of every kind in one column."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from sqlalchemy import Connection

from recs.errors import BadInput
from recs.loading import load_interactions, load_items

EARLY = '{"user_id": "u", "item_id": "1"}\n' * 1200


@pytest.mark.parametrize("key", ['"weight"', '"w\\u0065ight"'])
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_key_first_seen_in_a_late_line_is_loaded(
    catalog: Connection, tmp_path: Any, rows: Any, name: str, key: str
) -> None:
    late = EARLY + f'{{"user_id": "late", "item_id": "2", {key}: 7}}\n'
    data = late.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    load_interactions(catalog, tmp_path / name)
    found = rows("SELECT user_id, weight FROM recs.interactions WHERE weight <> 1")
    assert found == [("late", 7.0)]


def test_mapped_and_attribute_keys_of_late_lines_are_loaded(
    connection: Connection, write: Any, rows: Any
) -> None:
    early = "".join(f'{{"item_id": {n}}}\n' for n in range(1200))
    path = write("a.jsonl", early + '{"item_id": "late", "größe": "Tall", "price": 2.5}\n')
    load_items(connection, path, columns={"title": "größe"}, attributes=["price"])
    found = rows("SELECT item_id, title, attributes FROM recs.items WHERE title <> ''")
    assert found == [("late", "Tall", {"price": 2.5})]


def test_a_key_that_only_stands_in_values_is_no_column(connection: Connection, write: Any) -> None:
    early = "".join(f'{{"item_id": {n}}}\n' for n in range(1200))
    path = write("a.jsonl", early + '{"item_id": "price", "x": {"price": "\\n"}}\n')
    with pytest.raises(BadInput, match="no column 'price'"):
        load_items(connection, path, attributes=["price"])


MISFITS = [
    ("title", {"en": "x"}, "line 2: title is {'en': 'x'}, expected text"),
    ("title", ["x"], "line 2: title is ['x'], expected text"),
    ("item_id", {"id": 1}, "line 2: item_id is {'id': 1}, expected text or a whole number"),
    ("available", [True], "line 2: available is [True], expected true or false"),
]


@pytest.mark.parametrize(("key", "value", "reason"), MISFITS)
@pytest.mark.parametrize("alone", [False, True])
def test_a_nested_value_where_a_single_one_is_expected_is_a_bad_row(
    connection: Connection, write: Any, rows: Any, key: str, value: Any, reason: str, alone: bool
) -> None:
    good = {"item_id": "good"} | ({} if alone else {"title": "T", "available": True})
    bad = {"item_id": "bad"} | {key: value}
    path = write("a.jsonl", json.dumps(good) + "\n" + json.dumps(bad) + "\n")
    with pytest.raises(BadInput) as caught:
        load_items(connection, path)
    assert reason in caught.value.message
    report = load_items(connection, path, on_error="skip")
    assert (report.rows, report.rejected) == (1, 1)
    assert rows("SELECT item_id FROM recs.items") == [("good",)]


@pytest.mark.parametrize("value", [True, False, 1.5, 2.0**53, float("nan"), [1], {"id": 1}])
@pytest.mark.parametrize("others", [[], ["x"], [7], [7.0], [2**70]], ids=str)
def test_an_id_that_is_neither_text_nor_a_whole_number_is_a_bad_row(
    connection: Connection, write: Any, rows: Any, value: Any, others: list[Any]
) -> None:
    lines = [json.dumps({"item_id": id_}) + "\n" for id_ in [*others, value]]
    path = write("a.jsonl", "".join(lines))
    with pytest.raises(BadInput) as caught:
        load_items(connection, path)
    said = f"line {len(lines)}: item_id is {value}, expected text or a whole number"
    assert said in caught.value.message
    assert "mend the file" in str(caught.value.hint)
    if others:
        assert load_items(connection, path, on_error="skip").rejected == 1
    assert len(rows("SELECT item_id FROM recs.items")) == len(others)


def test_true_is_an_id_where_it_is_text(connection: Connection, write: Any, rows: Any) -> None:
    load_items(connection, write("a.jsonl", '{"item_id": "true"}\n'))
    load_items(connection, write("a.csv", "item_id\nfalse\n"))
    assert rows("SELECT item_id FROM recs.items ORDER BY 1") == [("false",), ("true",)]


@pytest.mark.parametrize("weights", [["true"], ["true", "2"], ["[1]", "2"], ['{"x": 1}']])
def test_a_weight_that_is_no_number_is_a_bad_row(
    catalog: Connection, write: Any, weights: list[str]
) -> None:
    lines = [f'{{"user_id": "u", "item_id": "1", "weight": {weight}}}\n' for weight in weights]
    path = write("a.jsonl", '{"user_id": "u", "item_id": "1"}\n' + "".join(lines))
    with pytest.raises(BadInput, match=r"line 2: weight is .*, expected a number"):
        load_interactions(catalog, path)
    assert load_interactions(catalog, path, on_error="skip").rejected == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('[{"item_id": 1}, {"item_id": 2}]\n', "line 1: expected a JSON object, got list"),
        ('[\n  {"item_id": 1},\n  {"item_id": 2},\n]\n', "line 1: not JSON"),
        ("\nitem_id,title\n1,x\n", "line 2: not JSON"),
    ],
)
def test_a_file_without_any_json_object_says_what_its_first_line_is(
    connection: Connection, write: Any, content: str, reason: str
) -> None:
    with pytest.raises(BadInput, match=reason) as caught:
        load_items(connection, write("a.jsonl", content), on_error="skip")
    assert "one JSON object a line" in str(caught.value.hint)


def test_rejects_stand_in_the_order_of_the_file(
    catalog: Connection, write: Any, rejected: Any
) -> None:
    good = '{"user_id": "u", "item_id": "1"}'
    lines = ["[1]", good, '{"user_id": "", "item_id": "1"}', "{", '{"user_id": "u"}', "null"]
    path = write("a.jsonl", "\n".join(lines))
    report = load_interactions(catalog, path, on_error="skip")
    assert [reject["line"] for reject in rejected(report.rejects)] == [1, 3, 4, 5, 6]
    path.write_text("\n".join([good, lines[2], "{"]))
    with pytest.raises(BadInput, match="line 2: user_id is missing"):
        load_interactions(catalog, path)


@pytest.mark.parametrize("half", [r"\ud83d", r"\uD83D", r"\uDE00", r"\uDe00\uD83d"])
@pytest.mark.parametrize("key", ["item_id", "title", "colour"])
def test_half_a_surrogate_pair_is_a_bad_row_and_a_whole_one_a_character(
    connection: Connection, write: Any, rows: Any, key: str, half: str
) -> None:
    bad = {"item_id": "a", "title": "b", "colour": "c"} | {key: "HALF"}
    good = r'{"item_id": "\uD83D\uDE00", "title": "\ud83d\ude00", "colour": "\uD83d\ude00"}'
    path = write("a.jsonl", json.dumps(bad).replace("HALF", half) + f"\n{good}\n")
    with pytest.raises(BadInput, match="line 1"):
        load_items(connection, path, attributes=["colour"])
    load_items(connection, path, attributes=["colour"], on_error="skip")
    found = rows("SELECT item_id, title, attributes FROM recs.items")
    assert found == [("\U0001f600", "\U0001f600", {"colour": "\U0001f600"})]


def test_a_number_of_more_than_64_bits_is_an_id_but_no_weight_and_no_time(
    catalog: Connection, write: Any, rows: Any
) -> None:
    lines = [{"user_id": 2**70, "item_id": 1}, {"user_id": 5, "item_id": 1}]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    load_interactions(catalog, write("a.jsonl", content))
    found = rows("SELECT user_id, weight::float8 FROM recs.interactions ORDER BY user_id")
    assert found == [(str(2**70), 1.0), ("5", 1.0)]
    for column, fault in (("occurred_at", "occurred_at is"), ("weight", "weight is 1.18059e")):
        bad = write("b.jsonl", json.dumps({"user_id": 1, "item_id": 1, column: 2**70}))
        with pytest.raises(BadInput, match=f"line 1: {fault}"):
            load_interactions(catalog, bad)
