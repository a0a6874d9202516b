"""Files: what cannot be read is named, with what to do."""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from sqlalchemy import Connection

from recs.errors import BadInput
from recs.loading import load_interactions, load_items
from recs.loading.files import KINDS, open_source


def test_a_missing_column_is_named_with_those_the_file_has(
    connection: Connection, write: Any
) -> None:
    with pytest.raises(BadInput, match="no column 'item_id'") as caught:
        load_interactions(connection, write("a.csv", "user_id,sku\nu,1\n"))
    assert caught.value.hint == "it has user_id, sku; say which it is: --map item_id=COLUMN"


def test_a_mapped_column_that_is_missing_is_named(connection: Connection, write: Any) -> None:
    path = write("a.csv", "user_id,item_id\nu,1\n")
    with pytest.raises(BadInput, match="no column 'stamp'"):
        load_interactions(connection, path, columns={"occurred_at": "stamp"})
    with pytest.raises(BadInput, match="no column 'price' to load into"):
        load_interactions(connection, path, columns={"price": "item_id"})


def test_a_column_twice_in_the_header_is_refused(connection: Connection, write: Any) -> None:
    with pytest.raises(BadInput, match="column 'item_id' twice"):
        load_items(connection, write("a.csv", "item_id,item_id\n1,2\n"))


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", ""), ("a.csv", "item_id\n"), ("a.jsonl", ""), ("a.jsonl", "\n"), ("a.csv.gz", "")],
)
def test_an_empty_file_is_an_error(
    connection: Connection, write: Any, name: str, content: str
) -> None:
    with pytest.raises(BadInput, match=r"is empty|has no column 'item_id'"):
        load_items(connection, write(name, content))


def test_an_empty_parquet_file_is_an_error(connection: Connection, tmp_path: Path) -> None:
    parquet.write_table(pa.table({"item_id": pa.array([], pa.string())}), tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="is empty"):
        load_items(connection, tmp_path / "a.parquet")


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"x")
    (tmp_path / "a.parquet").write_bytes(b"not Parquet at all")
    (tmp_path / "a.csv.gz").write_bytes(b"not gzip at all")
    (tmp_path / "b.csv").mkdir()
    for name, reason in (
        ("a.xlsx", "unknown kind of file '.xlsx'"),
        ("a.parquet.gz", "unknown kind of file '.gz'"),
        ("none.csv", "no such file"),
        ("b.csv", "not a file"),
        ("a.parquet", "cannot be read as Parquet"),
        ("a.csv.gz", "cannot be read as CSV"),
    ):
        with pytest.raises(BadInput, match=reason) as caught:
            open_source(tmp_path / name)
        assert caught.value.hint


@pytest.mark.parametrize("path", [".", "/", ""])
def test_a_folder_is_no_file(connection: Connection, path: str) -> None:
    with pytest.raises(BadInput, match="not a file"):
        load_items(connection, path)


def test_a_truncated_file_is_an_error(connection: Connection, tmp_path: Path) -> None:
    packed = gzip.compress("\n".join(["item_id", *map(str, range(100_000))]).encode())
    (tmp_path / "a.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(BadInput, match="cannot be read as CSV"):
        load_items(connection, tmp_path / "a.csv.gz")
    lines = "".join(f'{{"item_id": {number}}}\n' for number in range(100_000))
    packed = gzip.compress(lines.encode())
    (tmp_path / "a.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(BadInput, match="cannot be read as JSON Lines"):
        load_items(connection, tmp_path / "a.jsonl.gz")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv.gz", "item_id,title\nx,É\n"),
        ("a.CSV.GZ", "item_id,title\nx,É\n"),
        ("a.JSONL.Gz", '{"item_id": "x", "title": "É"}\n'),
        ("a.tsv", "item_id\ttitle\nx\tÉ\n"),
        ("a.CSV", "\ufeffitem_id,title\r\nx,É\r\n"),
        ("a.ndjson.gz", '{"item_id": "x", "title": "É"}\n'),
    ],
)
def test_tabs_gzip_and_byte_order_marks_are_read(
    connection: Connection, tmp_path: Path, rows: Any, name: str, content: str
) -> None:
    data = content.encode()
    packed = name.lower().endswith(".gz")
    (tmp_path / name).write_bytes(gzip.compress(data) if packed else data)
    load_items(connection, tmp_path / name)
    assert rows("SELECT item_id, title FROM recs.items") == [("x", "É")]


def test_a_quote_left_open_does_not_swallow_the_rest(connection: Connection, write: Any) -> None:
    path = write("a.csv", 'item_id,title,x\n1,"a\nb",\n2,b,"open\n3,c,\n')
    with pytest.raises(BadInput, match="line 4: a quote is opened and never closed"):
        load_items(connection, path)
    long = write("c.csv", 'item_id,title\n1,a\n2,"open\n' + "3,c\n" * 100_000)
    with pytest.raises(BadInput, match="line 3: a quote is opened and never closed"):
        load_items(connection, long)
    later = write("d.csv", 'item_id,title,x\n1,"a\nb","open\n3,c,\n')
    with pytest.raises(BadInput, match="line 3: a quote is opened and never closed"):
        load_items(connection, later)
    short = write("e.csv", 'item_id,title,x\n1,a,b\n2,"open\n3,c,d\n')
    with pytest.raises(BadInput, match="line 3: a quote is opened and never closed"):
        load_items(connection, short, on_error="skip")
    tabs = write("e.tsv", 'item_id\ttitle\tx\n1\ta, "b"\t\n2\tb\t"open\n3\tc\t\n')
    with pytest.raises(BadInput, match="line 3: a quote is opened and never closed"):
        load_items(connection, tabs)
    closed = write("b.csv", 'item_id,title\n1,"a"\n2,"c\n"\n')
    assert load_items(connection, closed).rows == 2


def test_bytes_that_are_not_utf_8_are_a_bad_row(connection: Connection, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("item_id,title\n1,É\n2,".encode() + b"\xc9\n")
    with pytest.raises(BadInput, match=r"line 3: title is b'\\xc9', expected UTF-8"):
        load_items(connection, tmp_path / "a.csv")


def test_parquet_text_that_is_not_utf_8_is_a_bad_row(
    connection: Connection, tmp_path: Path
) -> None:
    wrong = pa.array([b"a", b"\xc9"]).view(pa.string())
    for name in ("item_id", "title", "x"):
        table = pa.table({"item_id": ["a", "b"], "title": ["A", "B"], "x": ["1", "2"]})
        table = table.set_column(table.schema.get_field_index(name), name, wrong)
        parquet.write_table(table, tmp_path / "a.parquet")
        with pytest.raises(BadInput, match=r"row 2: .*\\xc9.*, expected UTF-8"):
            load_items(connection, tmp_path / "a.parquet", attributes=["x"])
        assert (
            load_items(
                connection, tmp_path / "a.parquet", attributes=["x"], on_error="skip"
            ).rejected
            == 1
        )


def test_a_column_of_the_wrong_type_is_refused(connection: Connection, tmp_path: Path) -> None:
    table = pa.table({"user_id": ["u"], "item_id": ["1"], "weight": [[1.0]]})
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="weight comes from a column of type list"):
        load_interactions(connection, tmp_path / "a.parquet")


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz"])
@pytest.mark.parametrize("place", [10, 12, 40, -20, -6])
def test_a_damaged_file_is_an_error(
    connection: Connection, tmp_path: Path, name: str, place: int
) -> None:
    lines = (
        ["item_id,title", *(f"{n},{n * n}" for n in range(5000))]
        if name == "a.csv.gz"
        else [f'{{"item_id": {n}, "title": "{n * n}"}}' for n in range(5000)]
    )
    packed = bytearray(gzip.compress("\n".join(lines).encode(), mtime=0))
    for offset in range(4):
        packed[place + offset] ^= 0xFF
    (tmp_path / name).write_bytes(packed)
    with pytest.raises(BadInput, match="cannot be read as") as caught:
        load_items(connection, tmp_path / name, on_error="skip")
    assert caught.value.hint


@pytest.mark.parametrize("columns", [["item_id", "item_id"], ["item_id", "title", "title"]])
def test_a_used_parquet_column_twice_is_refused(
    connection: Connection, tmp_path: Path, columns: list[str]
) -> None:
    table = pa.table([pa.array(["1"])] * len(columns), names=columns)
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(BadInput, match=f"has column '{columns[-1]}' twice") as caught:
        load_items(connection, tmp_path / "a.parquet")
    assert caught.value.hint == "rename one of the two"


def test_an_unused_parquet_column_twice_does_no_harm(
    connection: Connection, tmp_path: Path
) -> None:
    table = pa.table([pa.array(["1"])] * 3, names=["item_id", "x", "x"])
    parquet.write_table(table, tmp_path / "a.parquet")
    assert load_items(connection, tmp_path / "a.parquet").rows == 1


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """Return a folder, and be a user that file modes apply to."""
    with tempfile.TemporaryDirectory() as name:
        folder, user = Path(name), os.geteuid()
        folder.chmod(0o755)
        (folder / "closed").mkdir()
        if user == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            (folder / "closed").chmod(0o700)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_may_not_be_read_is_an_error(unprivileged: Path, kind: str) -> None:
    path = unprivileged / f"a{kind}"
    user = os.geteuid()
    os.seteuid(os.getuid())
    path.write_bytes(b"x")
    path.chmod(0)
    (unprivileged / "closed").chmod(0)
    os.seteuid(user)
    for closed in (path, unprivileged / "closed" / f"a{kind}"):
        with pytest.raises(BadInput, match=r"[Pp]ermission denied") as caught:
            open_source(closed)
        assert caught.value.hint


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.csv.gz", "a.jsonl.gz"])
def test_utf_16_is_named(connection: Connection, tmp_path: Path, name: str, encoding: str) -> None:
    content = "item_id\n1\n" if ".csv" in name else '{"item_id": 1}\n'
    data = content.encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    with pytest.raises(BadInput, match="UTF-16, expected UTF-8") as caught:
        load_items(connection, tmp_path / name)
    assert "iconv -f UTF-16" in str(caught.value.hint)
