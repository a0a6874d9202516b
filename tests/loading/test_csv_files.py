"""CSV: headers as they come, and cells as they are."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from sqlalchemy import Connection

from recs.errors import BadInput
from recs.loading import load_interactions, load_items

ALL = "SELECT item_id, title FROM recs.items ORDER BY 1"


@pytest.mark.parametrize(
    "content",
    [
        "item_id,title,,\n1,x,,\n2,y,,\n",
        "item_id,title,more,more\n1,x,,\n2,y,,\n",
        "\nitem_id,title\n1,x\n2,y\n",
        "\r\n\n\r\nitem_id,title\r\n1,x\r\n\r\n2,y\r\n",
        "\ritem_id,title\r1,x\r2,y",
        '\ufeff\nitem_id,title,"a\nb\r\nc"\n1,x,\n2,y,\n',
        '"item_id",title,0,1\n1,x,7,8\n2,y,7,8\n',
    ],
)
def test_headers_as_programs_write_them_are_read(
    connection: Connection, write: Any, rows: Any, content: str
) -> None:
    load_items(connection, write("a.csv", content))
    assert rows(ALL) == [("1", "x"), ("2", "y")]


def test_lines_are_counted_from_the_top_of_the_file(
    connection: Connection, write: Any, rejected: Any
) -> None:
    path = write("a.csv", '\n\nitem_id,title,"a\nb"\n1,x,\n\n2,y\n,z,\n')
    report = load_items(connection, path, on_error="skip")
    found = [(reject["line"], reject["row"]) for reject in rejected(report.rejects)]
    assert found == [(7, ["2", "y"]), (8, {"item_id": "", "title": "z", "a\nb": ""})]


def test_a_used_column_twice_in_the_header_is_refused(connection: Connection, write: Any) -> None:
    with pytest.raises(BadInput, match="column 'title' twice"):
        load_items(connection, write("a.csv", "item_id,title,title\n1,x,y\n"))


@pytest.mark.parametrize("content", ["item_id", "item_id\n", "\n\nitem_id\n", "\n\n\n", "\r\n"])
def test_a_file_without_rows_is_empty(connection: Connection, write: Any, content: str) -> None:
    with pytest.raises(BadInput, match="is empty"):
        load_items(connection, write("a.csv", content))


@pytest.mark.parametrize("header", ["item_id,title,größe", "größe,item_id,title"])
def test_a_header_in_latin_1_matters_only_where_it_is_used(
    connection: Connection, tmp_path: Any, rows: Any, header: str
) -> None:
    values = {"item_id": "1", "title": "x", "größe": "3"}
    line = ",".join(values[name] for name in header.split(","))
    (tmp_path / "a.csv").write_bytes(f"{header}\n{line}\n".encode("latin-1"))
    load_items(connection, tmp_path / "a.csv")
    assert rows(ALL) == [("1", "x")]
    with pytest.raises(BadInput, match="no column 'größe'"):
        load_items(connection, tmp_path / "a.csv", attributes=["größe"])


def test_a_quote_left_open_in_the_header_is_an_error(connection: Connection, write: Any) -> None:
    for rows in (1, 2_000_000):
        path = write("a.csv", '\nitem_id,"title\n' + "1,x\n" * rows)
        with pytest.raises(BadInput, match="line 2: a quote is opened and never closed"):
            load_items(connection, path)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_line_ends_in_cells_are_kept_wherever_a_block_ends(
    connection: Connection, tmp_path: Any, rows: Any, monkeypatch: Any, name: str
) -> None:
    cells = ["\r\n", "x\r", "\r\r\n", "é\r\n\r\n", "\n\r", "\r\n" * 9]
    lines = "".join(f'{n},"{cell}"\r\n' for n, cell in enumerate(cells))
    data = f"item_id,title\r\n{lines}".encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    for block in range(40, 80):
        monkeypatch.setattr("recs.loading.csv_files._BLOCK", block)
        with connection.begin_nested() as savepoint:
            load_items(connection, tmp_path / name)
            assert [row[1] for row in rows(ALL)] == cells, block
            savepoint.rollback()


def test_a_byte_that_is_no_utf_8_in_an_unused_cell_does_no_harm(
    connection: Connection, tmp_path: Any, rows: Any
) -> None:
    (tmp_path / "a.csv").write_bytes(b"item_id,title,x\n1,x,\xff\n")
    load_items(connection, tmp_path / "a.csv")
    assert rows(ALL) == [("1", "x")]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize("block", [30, 1 << 20])
def test_a_row_of_too_many_cells_that_is_no_utf_8_is_a_bad_row_among_good_ones(
    connection: Connection,
    tmp_path: Any,
    rows: Any,
    rejected: Any,
    monkeypatch: Any,
    name: str,
    block: int,
) -> None:
    monkeypatch.setattr("recs.loading.csv_files._BLOCK", block)
    lines = [b"item_id,title", "1,é €\x80".encode(), b"2,\xff,more", b"3,\xc9t\xe9", b"\xe9",
             b'4,"a\r\nb"', b"5,y,\xc3", b"6,x"]  # fmt: skip
    data = b"\r\n".join(lines) + b"\r\n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    with pytest.raises(BadInput, match="line 3: expected 2 cells, got 3") as caught:
        load_items(connection, path)
    assert "mend the file" in str(caught.value.hint)
    report = load_items(connection, path, on_error="skip")
    assert (report.rows, report.rejected) == (3, 4)
    assert rows(ALL) == [("1", "é €\x80"), ("4", "a\r\nb"), ("6", "x")]
    assert [(reject["line"], reject["reason"]) for reject in rejected(report.rejects)] == [
        (3, "expected 2 cells, got 3"),
        (4, r"title is b'\xc9t\xe9', expected UTF-8"),
        (5, "expected 2 cells, got 1"),
        (8, "expected 2 cells, got 3"),
    ]


def test_a_row_with_a_nul_in_its_item_is_left_out(catalog: Connection, write: Any) -> None:
    path = write("a.csv", "user_id,item_id\nu,1\nu,1\0\n")
    with pytest.raises(BadInput, match="line 3: item_id has a NUL"):
        load_interactions(catalog, path)
    assert load_interactions(catalog, path, on_error="skip").rows == 1


BLOCK = 64  # bytes, where the reader has 4 MiB
LONG = [
    pytest.param("L," + "x" * 300 + "\n", id="plain"),
    pytest.param('L,"' + "x" * 300 + '"\r\n', id="quoted"),
    pytest.param('L,"' + 'x,y\r\nz""\n' * 40 + '"\n', id="lines"),
    pytest.param('"' + '""' * 200 + '",' + "\n", id="quotes"),
    pytest.param("L" + "," * 300 + "\n", id="cells"),
    pytest.param("L,é" + "\xff" * 300 + "\n", id="accents"),
]
ENDS = ["\n", "\r\n", "\r"]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("long", LONG)
def test_a_row_too_long_to_read_is_a_bad_row_among_good_ones(
    connection: Connection,
    tmp_path: Any,
    rows: Any,
    rejected: Any,
    monkeypatch: Any,
    name: str,
    encoding: str,
    long: str,
) -> None:
    monkeypatch.setattr("recs.loading.csv_files._BLOCK", BLOCK)
    before = ["\n\nitem_id,title\n", *(f'{n},"a\nb"\n' for n in range(9)), "\r\n\n", "short\n"]
    parts = [*before, long, "\n", long, "u,\u00e9,many\n", "10,z\n", long, "11,z\n\n", long, "\n"]
    data = "".join(parts).encode(encoding)
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    report = load_items(connection, path, on_error="skip")
    assert rows(ALL) == sorted([*((str(n), "a\nb") for n in range(9)), ("10", "z"), ("11", "z")])
    found = rejected(report.rejects)
    starts = _lines_before(parts)
    assert [reject["line"] for reject in found] == [starts[n] for n in (11, 12, 14, 15, 17, 19)]
    assert [found[n]["reason"] for n in (0, 3)] == [f"expected 2 cells, got {n}" for n in (1, 3)]
    for n in (1, 2, 4, 5):
        size = len(long.encode(encoding))
        assert f"the row has {size} bytes, expected at most {BLOCK}" in found[n]["reason"]
        assert found[n]["row"].startswith(long[:2])
    with pytest.raises(BadInput, match=f"line {starts[11]}: expected 2 cells, got 1"):
        load_items(connection, path)


def _lines_before(parts: list[str]) -> list[int]:
    return [len("".join(parts[:n]).replace("\r\n", "\n").split("\n")) for n in range(len(parts))]


@pytest.mark.parametrize("end", ENDS)
def test_the_first_row_and_the_last_may_be_the_ones_that_are_too_long(
    connection: Connection, write: Any, rows: Any, rejected: Any, monkeypatch: Any, end: str
) -> None:
    monkeypatch.setattr("recs.loading.csv_files._BLOCK", BLOCK)
    for length in range(150, 300):
        lines = ["item_id,title", "1," + "x" * length, "2,y", "3," + "x" * length]
        report = load_items(connection, write("a.csv", end.join(lines)), on_error="skip")
        assert report.rows + report.rejected == 3
        if length > 2 * BLOCK:
            assert [reject["line"] for reject in rejected(report.rejects)] == [2, 4]
    assert ("2", "y") in rows(ALL)


def test_a_quote_that_is_closed_far_below_is_said_to_be_left_open(
    connection: Connection, write: Any, rejected: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("recs.loading.csv_files._BLOCK", BLOCK)
    path = write("a.csv", 'item_id,title\n1,a\n2,"open\n' + "3,c\n" * 50 + '4,d"\n5,e\n')
    report = load_items(connection, path, on_error="skip")
    assert report.rows == 2
    (reject,) = rejected(report.rejects)
    assert reject["line"] == 3
    assert reject["reason"].endswith("expected at most 64 in 52 lines: is a quote left open?")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("rest", ["", "3,c\n" * 50, "3,é,x\n" * 50])
def test_a_quote_that_is_never_closed_is_an_error_though_bad_rows_are_left_out(
    connection: Connection, tmp_path: Any, monkeypatch: Any, encoding: str, rest: str
) -> None:
    monkeypatch.setattr("recs.loading.csv_files._BLOCK", BLOCK)
    path = tmp_path / "a.csv"
    path.write_bytes(f'item_id,title\n1,"a\n\nb"\n2\n\n3,"open\n{rest}'.encode(encoding))
    with pytest.raises(BadInput, match="line 7: a quote is opened and never closed") as caught:
        load_items(connection, path, on_error="skip")
    assert "nothing was loaded" in str(caught.value.hint)


@pytest.mark.parametrize("ending", ["", "\n", "\n\n"])
def test_a_last_row_of_a_wrong_number_of_cells_is_a_bad_row(
    connection: Connection, write: Any, rows: Any, rejected: Any, ending: str
) -> None:
    path = write("a.csv", f"item_id,title\n1,x\n2{ending}")
    with pytest.raises(BadInput, match="line 3: expected 2 cells, got 1"):
        load_items(connection, path)
    report = load_items(connection, path, on_error="skip")
    assert (report.rows, report.rejected) == (1, 1)
    assert [reject["line"] for reject in rejected(report.rejects)] == [3]
    assert rows(ALL) == [("1", "x")]


def test_a_file_of_rows_of_a_wrong_number_of_cells_is_an_error(
    connection: Connection, write: Any
) -> None:
    path = write("a.csv", "item_id,title\n1\n2\n")
    with pytest.raises(BadInput, match="all 2 rows were rejected, the first in line 2"):
        load_items(connection, path, on_error="skip")


def test_a_text_of_three_megabytes_loads_beside_a_byte_that_is_no_utf_8(
    connection: Connection, tmp_path: Any, rows: Any
) -> None:
    long = "é" * 1_500_000
    (tmp_path / "a.csv").write_bytes(f"item_id,title,x\n1,{long},".encode() + b"\xff\n")
    load_items(connection, tmp_path / "a.csv")
    assert rows(ALL) == [("1", long)]


def test_a_bad_row_of_several_lines_is_named_by_its_first(
    connection: Connection, write: Any, rejected: Any
) -> None:
    path = write("a.csv", 'item_id,title\n1,x\n,"a\nb\nc"\n"2\n",y,z\n3,\n')
    report = load_items(connection, path, on_error="skip")
    assert [(reject["line"], reject["reason"]) for reject in rejected(report.rejects)] == [
        (3, "item_id is missing"),
        (6, "expected 2 cells, got 3"),
    ]


def test_a_file_that_ends_within_a_character_of_a_row_too_long_has_a_bad_row(
    connection: Connection, tmp_path: Any, rows: Any
) -> None:
    (tmp_path / "a.csv").write_bytes(b"item_id,title\n1,x\n2,y,\xc3")
    assert load_items(connection, tmp_path / "a.csv", on_error="skip").rejected == 1
    assert rows(ALL) == [("1", "x")]


@pytest.mark.parametrize("column", ["weight", "occurred_at"])
def test_a_number_with_a_nul_is_a_bad_row_beside_one_that_is_none(
    catalog: Connection, write: Any, rejected: Any, column: str
) -> None:
    path = write("a.csv", f"user_id,item_id,{column}\nu,1,1\nu,1,1\0\nu,1,heavy\n")
    report = load_interactions(catalog, path, on_error="skip")
    assert report.rows == 1
    assert [reject["reason"].partition(",")[0] for reject in rejected(report.rejects)] == [
        f"{column} has a NUL character",
        f"{column} is 'heavy'",
    ]


def test_an_availability_with_a_nul_is_a_bad_row(
    connection: Connection, write: Any, rejected: Any
) -> None:
    path = write("a.csv", "item_id,available\n1,no\n2,no\0\n")
    report = load_items(connection, path, on_error="skip")
    assert report.rows == 1
    assert rejected(report.rejects)[0]["reason"].startswith("available has a NUL character")


def test_a_cell_of_more_digits_than_a_number_of_64_bits_is_text_in_attributes(
    connection: Connection, write: Any, rows: Any
) -> None:
    cells = ["9" * 18, "9" * 19, "9" * 5000]
    path = write("a.csv", "item_id,x\n" + "".join(f"{n},{x}\n" for n, x in enumerate(cells)))
    load_items(connection, path, attributes=["x"])
    found = rows("SELECT attributes -> 'x' FROM recs.items ORDER BY item_id")
    assert [row[0] for row in found] == [int(cells[0]), *cells[1:]]
